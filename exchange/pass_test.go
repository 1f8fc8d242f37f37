package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// The request waited for its connection: what Swap found is asked for once more when nothing vouches for it any longer.
func TestDecideAsksAnewWhenTheAnswerIsTooOld(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name      string
		prepare   func(k *kit, raw string)
		freshness exchange.Freshness
		source    exchange.Source
	}{
		{"a hit whose lease was lost", func(k *kit, raw string) { k.swap(raw, exchange.SourceMiss); k.feed.down.Store(true) }, exchange.Leased, exchange.SourceHit},
		{"a miss whose lease was lost", func(k *kit, _ string) { k.feed.down.Store(true) }, exchange.Leased, exchange.SourceMiss},
		{"an answer without any lease", func(k *kit, _ string) { k.feed.down.Store(true); time.Sleep(lease) }, exchange.Leased, exchange.SourceMiss},
		{"a strict one, lease or not", func(*kit, string) {}, exchange.Strict, exchange.SourceMiss},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				d, raw := k.issue()
				row.prepare(k, raw)
				lives := k.pass(raw, row.freshness, row.source)
				dies, _, err := k.edge.Swap(t.Context(), raw, row.freshness)
				if err != nil {
					t.Fatal(err)
				}
				asked, began := k.records.takes.Load(), time.Now()
				good := k.decide(lives)
				for k.records.takes.Load() == asked {
					time.Sleep(good)
					good = k.decide(lives)
				}
				if waited := time.Since(began); waited > lease || good != lease || k.records.takes.Load() != asked+1 {
					t.Errorf("asked %d times after %v, good for %v: want once within a lease of %v, and good for that",
						k.records.takes.Load()-asked, waited, good, lease)
				}
				k.revoke(store.KindToken, d.manifest.JTI)
				k.undecided(&dies, exchange.ReasonUnknown)
			})
		})
	}
}

// The log names the grant between Swap and Decide, long before its lease would end.
func TestDecideHearsOfARevocationUnderALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		miss := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		hit := k.pass(raw, exchange.Leased, exchange.SourceHit)
		k.revoke(store.KindToken, d.manifest.JTI)
		k.decide(miss) // the edge cannot know, and the revoker is still waiting
		time.Sleep(lease / 2)
		k.undecided(miss, exchange.ReasonUnknown)
		k.undecided(hit, exchange.ReasonUnknown)
	})
}

// A decision is good for what is left of the lease, and never beyond the expiry of the grant.
func TestDecisionEndsWithTheGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		if good := k.decide(p); good > lease || good < lease/2 {
			t.Errorf("good for %v, want most of a lease of %v", good, lease)
		}
		for _, rest := range []time.Duration{100 * time.Millisecond, 1} {
			time.Sleep(time.Until(d.manifest.ExpiresAt) - rest)
			for _, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
				p, _, err := k.edge.Swap(t.Context(), raw, f)
				if err != nil {
					t.Fatal(err)
				}
				if good := k.decide(&p); good != rest {
					t.Errorf("good for %v, want the %v that the grant still lives", good, rest)
				}
			}
		}
	})
}

// What the request was allowed was read from one record: no other may stand in for it, though it be signed as it should.
func TestDecideRefusesAnotherRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		other := k.draft()
		other.reference, other.manifest.JTI = d.reference, d.manifest.JTI
		k.plant(other)
		k.decide(p)
		k.forget()
		k.undecided(p, exchange.ReasonTampered)
		k.put(d.manifest.JTI, bytes.Repeat([]byte{1}, 1024))
		k.forget()
		k.undecided(p, exchange.ReasonTampered)
		delete(k.records.planted, d.manifest.JTI)
		k.decide(p)
	})
}

func TestDecideEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t, lease)
			_, raw := k.issue()
			p := k.pass(raw, f, exchange.SourceMiss)
			k.feed.down.Store(true)
			time.Sleep(lease)
			defer k.held()() // released when all is said
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if good, err := p.Decide(ctx); good != 0 || !errors.Is(err, exchange.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("strict %v: good for %v, error %v; want unavailable because its time was up", f, good, err)
			}
		})
	}
}

// Strict never uses what was known before the request came: not the cache, not a flight, not remembered absence.
func TestStrictAsksForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		for range 3 {
			k.decide(k.pass(raw, exchange.Strict, exchange.SourceMiss))
		}
		k.cost(3, 1)
		k.swap(raw, exchange.SourceHit) // it has refreshed the cache for the others

		absent := k.depositor.Reference().Reveal()
		k.refused(absent, exchange.ReasonUnknown)
		before := k.records.takes.Load()
		if _, source, err := k.edge.Swap(t.Context(), absent, exchange.Strict); source != exchange.SourceMiss || k.records.takes.Load() != before+1 {
			t.Errorf("source %q after %d takes, error %v; want miss after 1", source, k.records.takes.Load()-before, err)
		}
	})
}

func TestStrictJoinsNoFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		release := k.held()
		before := k.swapLater(t.Context(), raw, exchange.Leased)
		synctest.Wait()
		k.revoke(store.KindToken, d.manifest.JTI)
		strict := k.swapLater(t.Context(), raw, exchange.Strict)
		synctest.Wait()
		leased := k.swapLater(t.Context(), raw, exchange.Leased)
		synctest.Wait()
		if takes := k.records.takes.Load(); takes != 2 {
			t.Errorf("%d takes, want that of the flight and that of the strict swap, which nobody joins", takes)
		}
		release()
		for name, swap := range map[string]<-chan swapped{"before the revocation": before, "of the same flight": leased} {
			if got := <-swap; got.err != nil {
				t.Errorf("swap %s: %v, want its answer's own lease to be used", name, got.err)
			}
		}
		if got := <-strict; !errors.Is(got.err, exchange.ErrInactive) {
			t.Errorf("strict swap: %v, want inactive", got.err)
		}
	})
}

func TestStrictSwapThatPanicsIsUnavailable(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	_, raw := k.issue()
	k.records.take = func(context.Context, string) (store.Taken, error) { panic("a bug") }
	_, _, err := k.edge.Swap(t.Context(), raw, exchange.Strict)
	k.isRefusal(err, exchange.ReasonUnavailable)
}

func TestWatchEndsWithTheGrant(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(k *kit, d *draft)
		want revocation.Cause
	}{
		{"when it is revoked", func(k *kit, d *draft) { k.revoke(store.KindToken, d.manifest.JTI) }, revocation.Revoked},
		{"when its client is revoked", func(k *kit, d *draft) { k.revoke(store.KindClient, d.manifest.Handles.Client) }, revocation.Revoked},
		{"when it expires", func(_ *kit, d *draft) { time.Sleep(time.Until(d.manifest.ExpiresAt) - lease) }, revocation.Expired},
		{"when the lease is lost for the grace", func(k *kit, _ *draft) { k.feed.down.Store(true); time.Sleep(5 * time.Second) }, revocation.LeaseLost},
	} {
		for _, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
			t.Run(fmt.Sprintf("%s, strict %v", row.name, f), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					k := newKit(t, lease)
					d, raw := k.issue()
					p := k.pass(raw, f, exchange.SourceMiss)
					k.decide(p)
					w := p.Watch()
					defer w.Stop()
					time.Sleep(time.Second)
					if cause := w.Cause(); cause != "" {
						t.Fatalf("ended because %q", cause)
					}
					row.end(k, d)
					time.Sleep(lease + time.Millisecond)
					if cause := w.Cause(); cause != row.want {
						t.Errorf("cause %q, want %q", cause, row.want)
					}
				})
			})
		}
	}
}

// The stream began with an answer that was not kept, and the log has named its grant before anyone watched: the store is
// asked, and knows.
func TestWatchOfAnAnswerThatWasNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
			taken, err := k.records.Memory.Take(ctx, jti)
			taken.Incarnation = "another"
			return taken, err
		}
		p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		k.revoke(store.KindToken, d.manifest.JTI)
		time.Sleep(lease - 1)
		k.decide(p) // by its own lease
		w := p.Watch()
		defer w.Stop()
		time.Sleep(lease)
		if cause := w.Cause(); cause != revocation.Revoked {
			t.Errorf("cause %q, want revoked", cause)
		}
	})
}
