package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// service is one upstream and the way there.
type service struct {
	name     string
	upstream *upstream
	proxy    *httputil.ReverseProxy
	edge     *Edge
}

func (e *Edge) newService(name string, u Upstream) (*service, error) {
	u.Name = name
	up, err := newUpstream(u, e.log)
	if err != nil {
		return nil, err
	}
	s := &service{name: name, upstream: up, edge: e}
	s.proxy = &httputil.ReverseProxy{
		// Not Director: what that sets, a client's `Connection: Authorization` takes off again.
		Rewrite:        s.rewrite,
		Transport:      up.transport,
		BufferPool:     &buffers{},
		ModifyResponse: s.receive,
		ErrorHandler:   s.fail,
		ErrorLog:       log.New(io.Discard, "", 0), // the access log says it, once
	}
	return s, nil
}

// forward sends a decided request upstream and its answer to the client.
func (s *service) forward(w gin.ResponseWriter, v *visit, r *http.Request) {
	if !v.route.WebSocket {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Connection")
	}
	v.allowed = true
	whole := false
	defer func() {
		v.expired = errors.Is(context.Cause(r.Context()), errExpired)
		if !whole && !v.expired {
			v.refused = v.interrupted(r.Context())
		}
	}()
	s.proxy.ServeHTTP(prompt{w, &v.answer}, r)
	whole = true
	dropManaged(w.Header()) // what is left of it are trailers
}

// rewrite makes the request that goes upstream. What In held of hop-by-hop fields is already off Out; nothing runs
// after this that removes a header, so that Authorization, set last, arrives.
func (s *service) rewrite(p *httputil.ProxyRequest) {
	v, _ := visitOf(p.In.Context())
	to, out := s.upstream.next(), p.Out
	v.target.without(v.route.StripPrefix).apply(out.URL) // the query too: ReverseProxy drops parts that it cannot parse
	out.URL.Scheme, out.URL.Host = to.Scheme, to.Host
	out.Host = "" // the target's own name
	h := out.Header
	h["X-Forwarded-For"] = []string{v.caller.chain}
	h["X-Forwarded-Host"] = []string{p.In.Host}
	h["X-Forwarded-Proto"] = []string{v.caller.proto}
	h[requestIDHeader] = []string{v.id}
	addVia(h, p.In, s.edge.pseudonym)
	v.propagate(h)
	delete(h, "Authorization")
	if v.share != nil {
		h["Authorization"] = []string{v.share.Authorization()}
	}
}

var errUpgrade = errors.New("gateway: upstream switched to a protocol that was not asked for")

// receive looks at an answer before its first byte goes to the client.
func (s *service) receive(res *http.Response) error {
	v, _ := visitOf(res.Request.Context())
	upgraded := res.StatusCode == http.StatusSwitchingProtocols
	if upgraded && (!asksWebSocket(res.Request.Header) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket")) {
		return errUpgrade // a tunnel past every decision; refused here, for ReverseProxy's own check leaves the connection open
	}
	if upgraded || isEventStream(res.Header) {
		v.stream()
	}
	dropManaged(res.Header)
	v.sign(v.answer.Header()) // again, for ReverseProxy clears the header after a 1xx
	return nil
}

func isEventStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/event-stream"
}

// dropManaged removes from an upstream's header or trailer what only the edge may say to a client, and Alt-Svc,
// which would send the client past the edge.
func dropManaged(h http.Header) {
	for name := range h {
		switch bare := strings.TrimPrefix(name, http.TrailerPrefix); {
		case bare == "Gateway-Error", bare == requestIDHeader, bare == "Alt-Svc", strings.HasPrefix(bare, "Coatcheck-"):
			delete(h, name)
		}
	}
}

// fail answers for an upstream that has not.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	v, _ := visitOf(r.Context())
	no := s.diagnose(r.Context(), v, err)
	v.refuse(w, no)
}

func (s *service) diagnose(ctx context.Context, v *visit, err error) *refusal {
	cause := context.Cause(ctx)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return &refusal{code: codeBodyTooLarge}
	case errors.Is(err, errSlowBody), v.body.stalled():
		return &refusal{code: codeClientSlow}
	case errors.Is(cause, errTooLong):
		s.edge.meter.upstreamTrouble(s.name, troubleTimeout)
		return &refusal{code: codeUpstreamTimeout}
	case cause != nil:
		return &refusal{code: codeClientGone}
	case errors.Is(err, errBrokenBody):
		return &refusal{code: codeBody, err: err}
	}
	f := troubleOf(err)
	s.edge.meter.upstreamTrouble(s.name, f)
	if f == troubleTimeout {
		return &refusal{code: codeUpstreamTimeout, err: printable(err)}
	}
	return &refusal{code: codeUpstream, err: printable(err)}
}

// interrupted says why an answer that had begun to flow was cut. Only the log hears it: the client sees the
// connection break, never a whole answer.
func (v *visit) interrupted(ctx context.Context) *refusal {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTooLong):
		return &refusal{code: codeUpstreamTimeout}
	case cause != nil, v.answer.failed != nil:
		return &refusal{code: codeClientGone}
	}
	v.edge.meter.upstreamTrouble(v.service.name, troubleCut)
	return &refusal{code: codeUpstreamCut}
}

// answerOptions answers an OPTIONS request that goes no further (RFC 9110 §7.6.2).
func (v *visit) answerOptions(w gin.ResponseWriter, allow []string) {
	v.allowed = true
	w.Header().Set("Allow", strings.Join(allow, ", "))
	w.WriteHeader(http.StatusNoContent)
	w.WriteHeaderNow()
}

// buffers are what bodies are copied through; without a pool each request would make 32 KiB of garbage.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
