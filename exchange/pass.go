package exchange

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// Freshness says how old an answer of the store may be.
type Freshness bool

// The freshnesses.
const (
	Leased Freshness = false // the cache may answer, under a lease
	Strict Freshness = true  // the store is asked each time
)

// Pass is a swap on its way: the grant, and what is needed to decide once more. It belongs to one request.
//
// Swap says whom a reference stands for; the decision comes later, when the way to the upstream is free (Decide). Between
// the two the request may have waited for a connection longer than a lease lasts.
type Pass struct {
	grant *Grant
}

// Grant is who the request is for.
func (p *Pass) Grant() *Grant { return p.grant }

// Decide is the decision: it is called with the upstream connection in hand, right before the request is written, and
// asks the store again when what Swap found is too old by now. The request may be sent for as long as the answer says;
// one whose header is not on its way by then must be cancelled. Errors are *Refusal.
func (p *Pass) Decide(ctx context.Context) (good time.Duration, err error) { panic("contract") }

// Watch waits, for a stream that outlives the request, for the end of its grant.
type Watch = revocation.Watch

// Watch begins to watch the grant; the caller stops it.
func (p *Pass) Watch() *Watch { panic("contract") }
