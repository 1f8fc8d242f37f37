package issuer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
)

// door is in front of all paths: it is looked at where a request comes from. From there on that is its address, whoever asks.
func (i *Issuer) door(route http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer i.recovered(w, r)
		from := i.address(r)
		if no := i.limits.arrive(r, from); no != nil {
			no.write(w)
			return
		}
		r = r.WithContext(r.Context()) // a copy: the request is the server's
		r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
		route(w, r)
	})
}

// route finds what a path serves. Paths are compared in their encoded form and exactly: there is no cleaning, hence
// no redirect, and one spelling per endpoint. http.ServeMux would redirect `//oauth2/token`, and a client that
// follows a 307 sends its secret along.
func (i *Issuer) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch path {
	case i.place.tokenPath():
		if allow(w, r, http.MethodPost) {
			i.serveToken(w, r)
		}
		return
	case i.place.revokePath():
		if allow(w, r, http.MethodPost) {
			i.serveRevoke(w, r)
		}
		return
	case i.place.introspectPath():
		if i.internal {
			break // and nothing is found
		}
		if allow(w, r, http.MethodPost) {
			i.serveIntrospect(w, r)
		}
		return
	}
	find, ok := i.documents[path]
	if !ok {
		refuse(noSuchPath, "there is nothing at this path").write(w)
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if d := find(); d != nil {
		d.ServeHTTP(w, r)
		return
	}
	unavailableNow("signing keys are not available", nil).write(w)
}

// routeInternal is route of the internal listener.
func (i *Issuer) routeInternal(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.EscapedPath() != i.place.introspectPath():
		refuse(noSuchPath, "there is nothing at this path").write(w)
	case allow(w, r, http.MethodPost):
		i.serveIntrospect(w, r)
	}
}

// allow answers 405 for any other method.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	allowed := ""
	for _, m := range methods {
		if r.Method == m {
			return true
		}
		if allowed != "" {
			allowed += ", "
		}
		allowed += m
	}
	w.Header().Set("Allow", allowed)
	refuse(methodNotAllowed, "this method is not allowed here").write(w)
	return false
}

// recovered turns a panic into a 500 that says nothing. The log gets the kind of panic and the stack, but not the
// value: that may quote what was being worked on. http.ErrAbortHandler is the server's own and goes on.
func (i *Issuer) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	i.logger.LogAttrs(r.Context(), slog.LevelError, "panic",
		slog.String("kind", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
	refuse(internalTrouble, "").write(w)
}
