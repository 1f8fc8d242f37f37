package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httptrace"
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
		Transport:      s,
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
		if !whole || v.answer.tunnel.Load() != nil { // the end of a tunnel looks the same whoever brought it about
			v.interrupted(context.Cause(r.Context()), whole)
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

// RoundTrip sends what rewrite has made, through the gate; on a public route there is nothing to decide.
func (s *service) RoundTrip(out *http.Request) (*http.Response, error) {
	if v, _ := visitOf(out.Context()); v.share != nil {
		v.gate.out, v.gate.cancel = out, v.cancel
		// ReverseProxy traces each request for its 1xx answers. Hooking into that costs one word; a trace of our own would
		// be merged with it by reflection, every time.
		httptrace.ContextClientTrace(out.Context()).GotConn = v.gate.meet
	}
	return s.upstream.transport.RoundTrip(out)
}

// What an upstream cannot mean.
var (
	errUpgrade = errors.New("gateway: upstream switched to a protocol that was not asked for")
	errEarly   = errors.New("gateway: upstream has answered before it was asked")
)

// receive looks at an answer before its first byte goes to the client.
func (s *service) receive(res *http.Response) error {
	v, _ := visitOf(res.Request.Context())
	if v.share != nil && !v.gate.open.Load() {
		return errEarly // the decision is still to come, and a tunnel would be a way past it
	}
	upgraded := res.StatusCode == http.StatusSwitchingProtocols
	if upgraded && (!asksWebSocket(res.Request.Header) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket")) {
		return errUpgrade // a tunnel past every decision; refused here, for ReverseProxy's own check leaves the connection open
	}
	if upgraded || isEventStream(res.Header) {
		v.stream()
	}
	dropManaged(res.Header)
	v.sign(v.answer.Header()) // again, for ReverseProxy clears the header after a 1xx
	if s.edge.development {
		v.exposeDecision(v.answer.Header()) // again, for now the decision has been taken
	}
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
	away, isAway := errors.AsType[turnedAway](cause)
	short, isCut := errors.AsType[cut](cause)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isAway:
		v.allowed = false
		return s.edge.refuseSwap(ctx, v, away.error)
	case isCut:
		return v.cutOff(short)
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

// interrupted notes why an answer that had begun to flow has ended as it did. Only the log hears it: the client sees
// the connection break, never a whole answer.
func (v *visit) interrupted(cause error, whole bool) {
	short, isCut := errors.AsType[cut](cause)
	switch {
	case isCut:
		v.refused = v.cutOff(short)
	case whole:
	case errors.Is(cause, errTooLong):
		v.refused = &refusal{code: codeUpstreamTimeout}
	case cause != nil, v.answer.failed != nil:
		v.refused = &refusal{code: codeClientGone}
	default:
		v.edge.meter.upstreamTrouble(v.service.name, troubleCut)
		v.refused = &refusal{code: codeUpstreamCut}
	}
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
