package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// gate is the decision: it stands in the connection to the upstream, and the first byte of a request passes only if its
// grant is good at that moment.
//
// It stands there because of the order in which net/http works (Go 1.26):
//
//  1. a connection is free, or has been made: the hook GotConn is called
//  2. the request is handed to the connection's own writer, a goroutine, which does not look at the request's context
//  3. the header is in the writer's buffer: the hook WroteHeaders is called
//  4. the buffer is written
//
// Nothing orders a cancellation at 1 before the write at 4, and nothing bounds the time between the two. So at 1 the gate
// is hung into the connection, and 4 asks it: what it refuses is never written, and what it allows is written at once.
type gate struct {
	mu     sync.Mutex    // guards pass and no: when the transport tries again, two connections may ask
	pass   exchange.Pass // the swap's
	passed bool          // there is a pass
	no     error         // once no, always no: the transport may try another connection before it hears of the cancellation

	out    *http.Request           // what is to be sent; this and the next are set before a connection is met
	cancel context.CancelCauseFunc // ends the request

	open   atomic.Bool  // the last answer was yes
	clock  func() int64 // nil: nobody asks when
	moment atomic.Int64 // of the last yes, by clock
}

// turnedAway ends a request whose grant was not good any more when the request was about to be written.
type turnedAway struct{ error }

func (t turnedAway) Unwrap() error { return t.error }

// decisions is how often one connection asks at most. A second time is needed when a store that was slow to answer, or
// a process that stood still, has left nothing of the answer's time.
const decisions = 3

var errPaused = errors.New("gateway: each decision was too old when it could be acted on")

// keep takes what the swap has found.
func (g *gate) keep(p exchange.Pass) *exchange.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass, g.passed = p, true
	return p.Grant()
}

// watch watches the grant; nil: there is none yet, or never will be.
func (g *gate) watch() *exchange.Watch {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.passed {
		return nil
	}
	return g.pass.Watch()
}

// meet hangs the gate into a connection that the request has got.
func (g *gate) meet(info httptrace.GotConnInfo) {
	g.open.Store(false)
	conn := info.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, ok := conn.(*guarded)
	if !ok {
		panic("gateway: a connection to an upstream cannot hold a decision")
	}
	c.gate.Store(g)
}

// decide is nil when the request may be written, now. Else the request has been cancelled.
func (g *gate) decide() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range decisions {
		if g.no != nil {
			return g.no
		}
		asked := time.Now()
		good, err := g.pass.Decide(g.out.Context())
		if err != nil {
			return g.turnAway(err)
		}
		if g.clock != nil {
			g.moment.Store(g.clock())
		}
		// From before the question, so that a pause is noticed wherever it came.
		if time.Since(asked) < good {
			g.open.Store(true)
			return nil
		}
	}
	return g.turnAway(errPaused)
}

func (g *gate) turnAway(err error) error {
	g.no = turnedAway{err}
	g.cancel(g.no)
	return g.no
}

// guarded is a connection to an upstream. Whoever has put a gate into it can write only through that. Below TLS the first
// thing written is the record that holds the request.
type guarded struct {
	net.Conn
	gate atomic.Pointer[gate] // of the request that is written next; nil: the last one has passed, or none is asked for
}

func (c *guarded) Write(b []byte) (int, error) {
	if g := c.gate.Swap(nil); g != nil {
		if err := g.decide(); err != nil {
			_ = c.Conn.Close() // before anything else is tried on it
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// guard makes connections that can hold a gate.
func guard(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &guarded{Conn: conn}, nil
	}
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)
