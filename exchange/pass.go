package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// Freshness says how old an answer of the store may be.
type Freshness bool

// The freshnesses.
const (
	Leased Freshness = false // the cache may answer, under a lease
	Strict Freshness = true  // the store is asked each time, after the request came
)

// Pass is a swap on its way: the grant, and what is needed to decide once more. It belongs to one request, and like the
// reference that it keeps it shows nothing of that to anyone who prints it.
//
// Swap says whom a reference stands for; the decision comes later, when the way to the upstream is free (Decide). Between
// the two the request may have waited for a connection longer than a lease lasts.
type Pass struct {
	exchange  *Exchange
	reference Reference
	answer    answer
	freshness Freshness
}

// Watch waits, for a stream that outlives the request, for the end of its grant.
type Watch = revocation.Watch

// rounds is how often one call asks the store at most: an answer can be too old to use when it is there, because the
// first signature had to wait for the issuer's keys, or because it was revoked or slow on its way.
const rounds = 2

var (
	errLate     = errors.New("the answer of the store came later than its lease allows")
	errReplaced = errors.New("the record is no longer the one that the request was checked against")
)

// Grant is who the request is for.
func (p *Pass) Grant() *Grant { return p.answer.entry.grant }

// Decide is the decision: it is called with the upstream connection in hand, right before the request is written, and
// asks the store again when what Swap found is too old by now; then the record must be the very same, for what the
// request was allowed was read from that. The request may be sent for as long as the answer says, which is never beyond
// the grant's expiry; one whose header is not on its way by then must be cancelled. Errors are *Refusal. It allocates
// nothing when it need not ask.
func (p *Pass) Decide(ctx context.Context) (good time.Duration, err error) {
	now := time.Now()
	if p.Grant().expired(now) {
		return 0, refuse(ReasonExpired, nil)
	}
	if good := p.good(now); good > 0 {
		return good, nil
	}
	return p.settle(ctx, p.exchange.key(p.reference))
}

// Watch begins to watch the grant; the caller stops it. An answer that was not kept has a mark that was never set: it is
// in doubt from the start, and the store is asked.
func (p *Pass) Watch() *Watch {
	g := p.Grant()
	return p.exchange.revocations.Watch(g.jti, g.names, &p.answer.entry.mark, g.ExpiresAt())
}

// Format writes "[pass of <jti>]" for every verb.
func (p Pass) Format(f fmt.State, _ rune) {
	if p.answer.entry == nil { // what comes with an error
		_, _ = io.WriteString(f, "[pass]")
		return
	}
	_, _ = io.WriteString(f, "[pass of "+p.Grant().jti+"]")
}

// remembered asks the cache, and the table of what is absent. SourceMiss: neither can tell.
func (p *Pass) remembered(key cacheKey, now time.Time) (Source, error) {
	x := p.exchange
	e := x.cache.get(key)
	switch {
	case e == nil && x.absent.holds(key, now.Sub(x.start)):
		return SourceNegative, refuse(ReasonUnknown, nil)
	case e == nil:
		return SourceMiss, nil
	case e.grant.expired(now):
		return SourceHit, refuse(ReasonExpired, nil)
	case !x.revocations.Holds(&e.mark, &e.grant.names, now):
		return SourceMiss, nil
	}
	p.answer = answer{entry: e, kept: true}
	return SourceHit, nil
}

// settle asks the store until the answer may be used.
func (p *Pass) settle(ctx context.Context, key cacheKey) (good time.Duration, err error) {
	for range rounds {
		a, err := p.exchange.ask(ctx, p.reference, key, p.freshness)
		if err != nil {
			return 0, err
		}
		if p.answer.entry != nil && p.Grant().sealed != a.entry.grant.sealed {
			return 0, refuse(ReasonTampered, errReplaced)
		}
		p.answer = a
		now := time.Now()
		if p.Grant().expired(now) {
			return 0, refuse(ReasonExpired, nil)
		}
		if good := p.good(now); good > 0 {
			return good, nil
		}
	}
	return 0, refuse(ReasonUnavailable, errLate)
}

// good is how long the answer may be used; 0 or less: not at all.
//
// While its shard has a lease the log decides about an answer that was kept, for as long as the lease runs: what the log
// has named since is asked for again, even if the answer's own lease still runs. Every other answer, and with Strict each
// one, has only that.
func (p *Pass) good(now time.Time) time.Duration {
	a := &p.answer
	g := a.entry.grant
	rest := g.ExpiresAt().Sub(now)
	if a.kept && p.freshness == Leased {
		if lease := p.exchange.revocations.Left(int(g.shard), now); lease > 0 {
			if !p.exchange.revocations.Holds(&a.entry.mark, &g.names, now) {
				return 0
			}
			return min(lease, rest)
		}
	}
	return min(left(a.until, now), rest)
}
