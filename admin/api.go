package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"
)

// maxBody bounds a request's body; an operation may bound it further.
const maxBody = 64 << 10

// api is the handler of the admin listener.
type api struct {
	tokens []Token
	routes *router
	brake  *brake
	logger *slog.Logger
	known  func(context.Context)

	auditor Auditor
}

type callerKey struct{}

// caller is the token that a request came with; nil outside of the admin API.
func caller(r *http.Request) *Token {
	t, _ := r.Context().Value(callerKey{}).(*Token)
	return t
}

// Caller is the name of the token that a request came with, for what a room writes down itself.
func Caller(r *http.Request) string {
	if t := caller(r); t != nil {
		return t.Name
	}
	return ""
}

// ServeHTTP asks, in this order: is the token known, is there such a path and method, has the token the scope. The
// request id is ours: it is set on the request too, so that what a handler logs can be found from the audit line.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := newCall(w, r)
	c.auditor = a.auditor
	defer a.audit(r.Context(), c) // last: it tells also what recovered has answered
	defer a.recovered(c)
	h := c.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", c.id)

	token := a.authenticate(r.Header)
	if token == nil {
		v := a.brake.wrong(c.peer, time.Now())
		c.silent, c.untold = v.silent, v.untold
		c.stranger(v.wait)
		return
	}
	c.name = token.Name
	a.known(r.Context())
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, token))
	r.Header = r.Header.Clone()
	r.Header.Del("Authorization") // it has done its work: no handler can pass it on or log it
	r.Header.Set("X-Request-Id", c.id)
	r.Body = http.MaxBytesReader(c, r.Body, maxBody)
	a.routes.serve(c, r)
}

// recovered turns a panic into a 500 that says nothing. The log gets the kind of panic and the stack, but not the
// value: that may quote what was being worked on. http.ErrAbortHandler is the server's own and goes on.
func (a *api) recovered(c *call) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	a.logger.LogAttrs(context.Background(), slog.LevelError, "panic", slog.String("request_id", c.id),
		slog.String("kind", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
	c.refuse(internalError)
}

// peerOf is the other end of the connection; not valid on a unix socket. No header is believed.
func peerOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap().WithZone("")
}
