package gateway

import (
	"context"
	"net/http"
	"time"
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
