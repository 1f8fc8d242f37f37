package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/routes"
	"go.opentelemetry.io/otel/trace"
)

// visit is one request on its way through the edge: what is known of it so far. It belongs to the request's own
// goroutine, the fields of body excepted. Handlers of Use cannot reach it.
type visit struct {
	edge   *Edge
	start  time.Time
	id     string // X-Request-Id
	answer answer // what has gone to the client
	closes bool   // the connection is not used again
	body   *body  // nil: the request has none

	method    string // as it may be logged
	caller    caller
	target    target // frozen
	presented presented

	route   *routes.Route // nil: none matched
	service *service
	lastHop bool // an OPTIONS request that ends here (Max-Forwards: 0)

	source   exchange.Source
	swapTook time.Duration
	grant    *exchange.Grant // nil: public, or not decided
	share    *exchange.Share // nil exactly when grant is

	gate    gate     // the decision
	allowed bool     // it went upstream
	refused *refusal // our own answer, and why; or why an answer has been cut

	span   trace.Span // nil: not sampled
	term   term
	gone   <-chan struct{} // closed when its context is over
	cancel context.CancelCauseFunc
}

type visitKey struct{}

func visitOf(ctx context.Context) (*visit, bool) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	return v, ok
}

// Why a visit's context ended before the visit did; the other causes are turnedAway and cut.
var (
	errTooLong = errors.New("gateway: request timed out")
	errOver    = errors.New("gateway: request is over")
)

func (e *Edge) begin(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{
		edge:   e,
		start:  time.Now(),
		id:     requestID(r.Header),
		method: loggable(r.Method),
		caller: callerOf(r, e.trusted), // before hygiene takes off what trusted proxies say
		source: exchange.SourceNone,
	}
	if e.development {
		v.gate.clock = hostClock
	}
	v.closes = w.Header().Get("Connection") == "close" // Server wants it so
	v.answer.reset(w, v.start)
	v.sign(v.answer.Header())
	return v
}

// sign puts on an answer's header what every answer has.
func (v *visit) sign(h http.Header) {
	h[requestIDHeader] = []string{v.id}
	if v.closes {
		h["Connection"] = []string{"close"}
	}
}

// bound gives the request its deadline and its visit, and its body the limits of a body.
func (v *visit) bound(r *http.Request) *http.Request {
	ctx, cancel := context.WithCancelCause(r.Context())
	v.cancel, v.gone = cancel, ctx.Done()
	v.beginTerm(v.edge.timeout)
	if v.edge.sampled() {
		ctx = v.startSpan(ctx)
	}
	r = r.WithContext(context.WithValue(ctx, visitKey{}, v))
	if r.Body != nil && r.Body != http.NoBody {
		v.body = newBody(&v.answer, r.Body, v.edge.maxBody, v.start, v.edge.timeout)
		r.Body = v.body
	}
	return r
}

// end is deferred around everything: it turns a panic into an answer or a cut connection, then tells logs,
// metrics and traces.
func (e *Edge) end(v *visit) {
	cut := false
	if p := recover(); p != nil {
		cut = v.recovered(p)
	}
	v.endTerm()
	v.body.leave()
	took := time.Since(v.start)
	o := v.outcome()
	e.meter.record(o, took, v.swapTook)
	v.logAccess(o, took)
	v.endSpan(o)
	if v.cancel != nil {
		v.cancel(errOver)
	}
	if cut {
		// net/http closes the connection, so that half a body never reads as a whole one.
		panic(http.ErrAbortHandler)
	}
}

// recovered reports whether the connection must be cut, because part of an answer is already on its way.
func (v *visit) recovered(p any) (cut bool) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true // whoever panicked has said why
	}
	v.logPanic(p)
	if v.answer.begun() {
		v.refused = &refusal{code: codeInternal}
		return v.answer.tunnel.Load() == nil
	}
	v.refuse(&v.answer, &refusal{code: codeInternal})
	return false
}
