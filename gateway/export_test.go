package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// Decision is the edge's own part of a request, without listener, gin and proxy: what remains of it on a cache hit
// must allocate nothing.
type Decision struct {
	edge  *Edge
	visit visit
	asked target
}

// NewDecision freezes a request's target once; Decide then matches, parses and swaps as often as wanted.
func NewDecision(e *Edge, r *http.Request) (*Decision, error) {
	t, err := freeze(r)
	return &Decision{edge: e, asked: t}, err
}

// Decide reports whether a request with that Authorization value goes upstream.
func (d *Decision) Decide(ctx context.Context, authorization string) bool {
	d.visit = visit{edge: d.edge, target: d.asked, presented: parseAuthorization(authorization)}
	return d.edge.decide(ctx, &d.visit) == nil && d.visit.share != nil
}

// Record counts what Decide has decided.
func (d *Decision) Record() {
	d.edge.meter.record(d.visit.outcome(), time.Millisecond, time.Microsecond)
}

// ProblemRow is one row of the table of problems.
type ProblemRow struct {
	Name, Title, Detail string
	Status              int
	Document            []byte
}

func ProblemRows() []ProblemRow {
	var rows []ProblemRow
	for i := range problems {
		p := code(i).problem()
		rows = append(rows, ProblemRow{p.name, p.title, p.detail, p.status, p.document("id")})
	}
	return rows
}

// HostClock is what decided_ns is read from.
var HostClock = hostClock

// OnDial calls f before each connection to an upstream is made.
func (e *Edge) OnDial(upstream string, f func()) {
	t := e.services[upstream].upstream.transport
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		f()
		return dial(ctx, network, address)
	}
}

// Redirect gives an upstream another target.
func (e *Edge) Redirect(upstream string, to *url.URL) {
	e.services[upstream].upstream.targets = []*targetState{{url: to}}
}

// Trust gives an upstream other roots.
func (e *Edge) Trust(upstream string, c *tls.Config) {
	e.services[upstream].upstream.transport.TLSClientConfig = c
}

// OneConnection makes requests to an upstream wait for each other.
func (e *Edge) OneConnection(upstream string) {
	e.services[upstream].upstream.transport.MaxConnsPerHost = 1
}

// Unguard makes connections to an upstream that can hold no gate.
func (e *Edge) Unguard(upstream string) {
	e.services[upstream].upstream.transport.DialContext = new(net.Dialer).DialContext
}

// Dispatch asks the gate of one request, which is as old as clock says.
func Dispatch(ctx context.Context, p exchange.Pass, clock func() int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://orders", nil)
	if err != nil {
		return err
	}
	g := &gate{out: out, cancel: cancel, clock: clock}
	g.keep(p)
	return g.decide()
}
