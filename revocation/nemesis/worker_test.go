package nemesis_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// How a worker goes about it.
const (
	probeEvery = 25 * time.Millisecond // so 40 in the second after the answer, twice what is wanted
	probesMost = 256                   // unanswered at a time, for one token
	warmWithin = 2 * time.Second
	giveUp     = 20 * time.Second // asking for one revocation
)

// work issues a token, uses it on all edges, ends it while it is being used, and goes on using it for a second; again and
// again until ctx ends.
func (c *cluster) work(ctx context.Context, client string, dice *rand.Rand) {
	for ctx.Err() == nil {
		raw, jti := c.token(ctx, c.issuers[dice.IntN(len(c.issuers))], client)
		if raw == "" {
			rest(ctx, 50*time.Millisecond)
			continue
		}
		c.warm(ctx, raw, jti)
		// Not under ctx: what has been begun is brought to its end, or the last tokens would have too few probes.
		probing, stop := context.WithCancel(context.WithoutCancel(ctx))
		var probes sync.WaitGroup
		probes.Go(func() { c.probe(probing, raw, jti) })
		if c.end(context.WithoutCancel(ctx), client, raw, jti, dice) {
			rest(probing, 1100*time.Millisecond)
		}
		stop()
		probes.Wait()
	}
}

// warm lets each edge have the token in its cache, if it can.
func (c *cluster) warm(ctx context.Context, raw, jti string) {
	late := time.Now().Add(warmWithin)
	for _, e := range c.edges {
		for time.Now().Before(late) && c.try(ctx, e, raw, jti) != 200 {
			rest(ctx, 20*time.Millisecond)
		}
	}
}

// probe sends requests to all edges in turn, without waiting for answers: an edge that hangs must not spare the others.
func (c *cluster) probe(ctx context.Context, raw, jti string) {
	places := make(chan struct{}, probesMost)
	var flying sync.WaitGroup
	defer flying.Wait()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case places <- struct{}{}:
			flying.Go(func() {
				c.try(context.WithoutCancel(ctx), c.edges[i%len(c.edges)], raw, jti)
				<-places
			})
		default: // all wait: they have been sent, that is what counts
		}
	}
}

// end revokes the token one way or another, and asks again until somebody answers that it is done.
func (c *cluster) end(ctx context.Context, client, raw, jti string, dice *rand.Rand) bool {
	late := time.Now().Add(giveUp)
	way := dice.IntN(20)
	for time.Now().Before(late) {
		issuer := c.issuers[dice.IntN(len(c.issuers))]
		r := revoked{kind: "token", name: jti, called: now()}
		var done bool
		switch {
		case way < 12:
			done = c.giveBack(ctx, issuer, client, raw)
		case way < 16:
			done = c.order(ctx, issuer, map[string]any{"jti": jti, "reason": "nemesis"})
		default:
			r.kind, r.name = "client", client
			done = c.order(ctx, issuer, map[string]any{"client": client, "reason": "nemesis"})
		}
		if done {
			r.answered = now()
		}
		c.history.add(r)
		if done {
			return true
		}
		rest(ctx, 50*time.Millisecond)
	}
	return false
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
