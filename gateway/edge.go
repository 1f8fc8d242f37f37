// Package gateway is the public edge: the listener where a third party presents a reference, and behind which a
// service receives a JWT made for it alone.
//
// # What it promises
//
// A request reaches an upstream only with the JWT of its route's audience, or on a route that says it is public.
// Whatever goes wrong on the way ends in an answer of our own, never in a proxied request: 404, 405, 408, 413, 431 or
// 508 for a request that has no route or is not whole; 400, 401, 403 or 429 for one that is ambiguous or may not pass;
// 503 when the edge itself cannot decide, and only then; 502 or 504 for trouble with an upstream; 500 for a bug, ours or a
// handler's. All are in one table (problems). What net/http cannot read as a request it answers before us, bare.
//
// The reference is taken off the request before any foreign code sees it, and is kept for as long as the request may have
// to ask for it again, where nothing can print it; it appears in no log, metric, trace or error page. The JWT is put on last, on the copy of the request
// that goes upstream, so that nothing a client sends can remove, replace or read it.
//
// What policy matched is what is forwarded, byte for byte: there is one canonical form of host and path, frozen
// at the door, and whatever of them has two readings is a 400.
//
// # The order of a request
//
//  1. framing: a declared body that is too large, a loop, a chunked body's connection is not used again
//  2. the target is frozen in its canonical form
//  3. hygiene: every header that an upstream might trust is taken off
//  4. Authorization, exactly one line, is read into an unexported value and deleted
//  5. the gin handlers of whoever embeds the edge (see Edge.Use); one that changes method, host or path ends it
//  6. hygiene again, for what they added
//  7. match on the frozen target: 404 and 405 come before credentials are judged
//  8. the swap: live, then audience and every scope of this route, on each request, also when the cache answered
//  9. Authorization becomes the audience's JWT, last
//  10. the decision: with the upstream's connection in hand, when the first byte is about to be written, the grant is asked
//     for once more, for a slow dial or a queue for connections may have taken any time. A no ends the request with the
//     answer that the swap would have given, and the upstream has seen nothing of it. Another connection, which the
//     transport takes when an idle one turns out to be dead, is another decision
//
// # Time
//
// A request has Config.RequestTimeout in all. Two kinds of answer outlive it, because they are meant to: server-sent
// events and WebSockets. They end when the grant that opened them is revoked or expires, and a grace after the
// revocation log was last heard (revocation.FollowerConfig.StreamGrace); on a public route after an hour. A request
// that takes longer than a second ends so too, whichever way its bytes flow.
// A client that stops sending or stops reading is cut off after 10 and 30 seconds.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck/coatcheck/routes"
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"
)

// Edge is the public listener's handler.
type Edge struct {
	table    *routes.Table
	services map[string]*service // by upstream name
	swapper  Swapper
	engine   *gin.Engine

	realm       string
	pseudonym   string // ours in Via
	maxBody     int64
	timeout     time.Duration
	trusted     []netip.Prefix
	perClient   *limiter[string]     // nil: no limit
	badRefs     *limiter[netip.Addr] // nil: off
	log         *slog.Logger
	meter       *meter
	tracer      trace.Tracer
	traceSample float64
	development bool
}

// New builds an edge, or says everything that is wrong with its configuration.
func New(c Config) (*Edge, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	m, err := newMeter(c.Meter)
	if err != nil {
		return nil, err
	}
	e := &Edge{
		table:       c.Table,
		services:    make(map[string]*service, len(c.Upstreams)),
		swapper:     c.Swapper,
		realm:       c.Realm,
		pseudonym:   newPseudonym(),
		maxBody:     c.MaxBody,
		timeout:     c.RequestTimeout,
		trusted:     c.TrustedProxies,
		perClient:   newLimiter[string](c.PerClient, c.PerClientBurst),
		badRefs:     newLimiter[netip.Addr](c.BadReferencesPerAddress, 0),
		log:         c.Logger,
		meter:       m,
		tracer:      c.Tracer.Tracer(scope),
		traceSample: c.TraceSample,
		development: c.ExposeDecisionForDevelopment,
	}
	for name, u := range c.Upstreams {
		if e.services[name], err = e.newService(name, u); err != nil {
			return nil, err
		}
	}
	e.engine = newEngine(e.last)
	return e, nil
}

// newEngine is gin with everything off that answers in our place. Configured routes never enter gin's tree, which
// panics on conflicts: last is its handler for all that has no route, so for everything.
func newEngine(last gin.HandlerFunc) *gin.Engine {
	// A switch of the whole process, but what it turns off prints to standard output, unredacted.
	gin.SetMode(gin.ReleaseMode)
	g := gin.New() // not Default: its recovery swallows http.ErrAbortHandler, its logger prints paths
	g.RedirectTrailingSlash = false
	g.RedirectFixedPath = false
	g.HandleMethodNotAllowed = false
	g.ForwardedByClientIP = false
	_ = g.SetTrustedProxies(nil) // fails only on addresses
	g.NoRoute(last)
	return g
}

// Use places gin handlers after the credentials were taken off the request and before the swap: they never see a
// reference. One that changes method, host or path makes the request a 500; one that answers (c.Abort and a
// status) ends it. Headers that they add go upstream, except those that the edge itself manages. Call Use before
// the first request.
func (e *Edge) Use(h ...gin.HandlerFunc) { e.engine.Use(h...) }

// ServeHTTP carries one request through the order that the package comment gives.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := e.begin(w, r)
	defer e.end(v)
	r = v.bound(r)
	if no := e.admit(v, r); no != nil {
		v.refuse(&v.answer, no)
		return
	}
	e.engine.ServeHTTP(&v.answer, r)
}

// last is gin's last handler, and the only one of ours: what comes after the handlers of Use.
func (e *Edge) last(c *gin.Context) {
	v, ok := visitOf(c.Request.Context())
	if !ok {
		panic("gateway: a handler placed with Use has replaced the request's context; derive it from the old one")
	}
	no := e.readmit(v, c.Request)
	if no == nil {
		no = e.decide(c.Request.Context(), v)
	}
	if e.development {
		v.exposeDecision(c.Writer.Header())
	}
	if no != nil {
		v.refuse(c.Writer, no)
		return
	}
	if v.lastHop {
		v.answerOptions(c.Writer, e.methods(v.target))
		return
	}
	v.service.forward(c.Writer, v, c.Request)
}

// Run asks upstreams for their health until ctx ends; it returns nil then.
func (e *Edge) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(e.services))
	for _, s := range e.services {
		defer s.upstream.close()
		go func() { ended <- s.upstream.run(ctx) }()
	}
	var all error
	for range e.services {
		if err := <-ended; err != nil {
			all = errors.Join(all, err)
			cancel() // one that ends early ends all: half a health check is worse than none
		}
	}
	<-ctx.Done()
	return all
}
