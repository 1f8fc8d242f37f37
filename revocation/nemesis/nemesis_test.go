package nemesis_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

var (
	lasts   = flag.Duration("nemesis", 30*time.Second, "how long the nemesis goes on")
	seed    = flag.Uint64("seed", 0, "of what happens and when; 0: another each time. Processes do not replay as a simulation does")
	workers = flag.Int("workers", 6, "how many tokens are in use at a time")
	leastN  = flag.Int("least", 0, "fail when fewer revocations were checked; 0: a third of what a quiet machine does")
	svg     = flag.String("plot", "", "write a histogram of late arrivals to this file")
)

// TestNemesis holds the promise on real processes: zero decisions to let a token through after the answer to its revocation.
func TestNemesis(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	c := newCluster(t, *workers+1)
	ctx, stop := context.WithTimeout(t.Context(), *lasts)
	defer stop()
	var working sync.WaitGroup
	for i := range *workers {
		working.Go(func() { c.work(ctx, c.clients[i], rand.New(rand.NewPCG(*seed, uint64(i)))) })
	}
	struck := c.harass(ctx, rand.New(rand.NewPCG(*seed, ^uint64(0))))
	working.Wait()
	c.recovers()
	c.collect()

	v := check(c.history)
	t.Logf("what happened: %v", struck)
	t.Logf("%d tokens checked after their revocation, %d more tried too seldom; %d revocations never answered with success; %d requests, %d decisions to let through",
		v.checked, len(v.untried), v.unproved, len(c.history.probes), v.decided)
	if n := len(v.late); n > 0 {
		t.Logf("%d arrived after the answer, decided before it: median %v, p99 %v, most %v", n, v.late[n/2], v.late[n*99/100], v.late[n-1])
	}
	for _, f := range v.faults {
		t.Error(f)
	}
	least := *leastN
	if least == 0 {
		least = int(*lasts/(6*time.Second)) * *workers // a worker needs 2 s for one when nothing is wrong
	}
	if v.checked < least || v.decided < 2*v.checked {
		t.Errorf("too few samples: %d revocations checked, want %d; %d decisions to let through, want twice that", v.checked, least, v.decided)
	}
	if *svg != "" {
		plot(t, *svg, v.late, v.decided)
	}
}

// recovers expects that everything works again by itself, now that nothing happens any more.
func (c *cluster) recovers() {
	client := c.clients[len(c.clients)-1]
	processtest.Eventually(c.t, "tokens are issued, let through and revoked again", func() bool {
		raw, jti := c.token(c.t.Context(), c.issuers[0], client)
		if raw == "" {
			return false
		}
		for _, e := range c.edges {
			if c.try(c.t.Context(), e, raw, jti) != 200 {
				return false
			}
		}
		return c.order(c.t.Context(), c.issuers[1], map[string]any{"client": client, "reason": "the end"})
	})
}
