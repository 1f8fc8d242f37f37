package exchange_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// weather delays, loses and reorders what goes between an edge and the store, by a seed.
type weather struct {
	mu  sync.Mutex
	rnd *rand.Rand // guarded by mu
}

func (w *weather) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(n)
}

// wait sleeps for up to limit, seldom for long.
func (w *weather) wait(limit time.Duration) {
	d := time.Duration(w.n(int(limit)))
	if w.n(4) > 0 {
		d /= 20
	}
	time.Sleep(d)
}

// stormy is the log behind such weather.
type stormy struct {
	*feed
	weather *weather
}

func (s *stormy) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	s.weather.wait(lease)
	s.feed.down.Store(s.weather.n(5) == 0)
	s.feed.flush.Store(s.weather.n(20) == 0)
	pulled := s.feed.Pull(ctx, after, seen)
	s.weather.wait(lease)
	return pulled
}

// decision is one that let a request through, for as long as it was good.
type decision struct {
	grant int
	until time.Time
}

// TestNothingIsDecidedAfterTheAcknowledgement is the promise: the revoker waits out a lease, counted from the store's
// answer, and nothing that was decided by then is still good. Swaps race it, of all freshnesses, through delays, losses,
// flushes and restarts, and wait for their upstream before they decide.
func TestNothingIsDecidedAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { bound(t, seed) })
	}
}

func bound(t *testing.T, seed uint64) {
	const grants, callers, runs = 8, 12, 6 * time.Second
	w := &weather{rnd: rand.New(rand.NewPCG(seed, 1))}
	k := newKit(t, lease)
	k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
		w.wait(lease)
		taken, err := k.records.Memory.Take(ctx, jti)
		w.wait(lease)
		return taken, err
	}
	log := follow(t, &stormy{k.feed, w})
	k.edge = k.newEdge(func(c *exchange.Config) { c.Log = log })
	var drafts [grants]*draft
	var raws [grants]string
	for i := range drafts {
		drafts[i], raws[i] = k.issueAs(exchange.Handles{Client: "c" + string(rune('a'+i%4)), Family: "f" + string(rune('a'+i)), Subject: "s" + string(rune('a'+i))})
	}

	var mu sync.Mutex
	var decisions []decision
	end := time.Now().Add(runs)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for time.Now().Before(end) {
				i := w.n(grants)
				p, _, err := k.edge.Swap(t.Context(), raws[i], exchange.Freshness(w.n(4) == 0))
				if err == nil {
					w.wait(2 * lease)
					if good, err := p.Decide(t.Context()); err == nil {
						mu.Lock()
						decisions = append(decisions, decision{i, time.Now().Add(good)})
						mu.Unlock()
					}
				}
				w.wait(lease)
			}
		})
	}

	var acknowledged [grants]time.Time
	for i := range drafts {
		time.Sleep(time.Duration(w.n(int(runs / grants))))
		kind := []store.Kind{store.KindToken, store.KindFamily, store.KindSubject, store.KindClient}[w.n(4)]
		if w.n(4) == 0 {
			k.records.Restart()
			time.Sleep(time.Duration(w.n(int(lease))))
			openShards(t, k.records, lease)
		}
		k.revoke(kind, naming(drafts[i].manifest)[kind])
		acknowledged[i] = time.Now().Add(lease)
	}
	group.Wait()
	late := 0
	for _, d := range decisions {
		if d.until.After(acknowledged[d.grant]) {
			late++
		}
	}
	if late > 0 || len(decisions) < 20 {
		t.Errorf("seed %d: %d of %d decisions are good beyond the acknowledgement, want none of at least 20", seed, late, len(decisions))
	}
}
