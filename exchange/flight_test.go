package exchange_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// held makes the store keep its answers back until release is called; each answer was true when it was asked for.
func (k *kit) held() (release func()) {
	gate := make(chan struct{})
	k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
		answer, err := k.records.Memory.Take(ctx, jti)
		select {
		case <-gate:
			return answer, err
		case <-ctx.Done():
			return store.Taken{}, ctx.Err()
		}
	}
	return func() { close(gate) }
}

type swapped struct {
	pass   exchange.Pass
	source exchange.Source
	err    error
}

func (k *kit) swapLater(ctx context.Context, raw string, f exchange.Freshness) <-chan swapped {
	done := make(chan swapped, 1)
	go func() {
		p, s, err := k.edge.Swap(ctx, raw, f)
		done <- swapped{p, s, err}
	}()
	return done
}

func TestThousandSwapsOfOneReferenceAskTheStoreOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		release := k.held()
		var swaps sync.WaitGroup
		for range 1000 {
			swaps.Go(func() {
				if _, _, err := k.edge.Swap(t.Context(), raw, exchange.Leased); err != nil {
					t.Errorf("Swap: %v", err)
				}
			})
		}
		synctest.Wait()
		release()
		swaps.Wait()
		if takes, verified := k.records.takes.Load(), k.keys.asked.Load(); takes != 1 || verified != 1 {
			t.Errorf("%d takes and %d verifications, want one of each", takes, verified)
		}
	})
}

// Who swaps at the same time shares a flight only for the same reference: no answer ever goes to another's holder.
func TestSwapsAtTheSameTimeGetTheirOwnGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		var raws, jtis []string
		for range 50 {
			d, raw := k.issue()
			raws, jtis = append(raws, raw), append(jtis, d.manifest.JTI)
		}
		release := k.held()
		var swaps sync.WaitGroup
		for range 10 {
			for i, raw := range raws {
				swaps.Go(func() {
					p, _, err := k.edge.Swap(t.Context(), raw, exchange.Leased)
					if err != nil || p.Grant().JTI() != jtis[i] {
						t.Errorf("swap %d: %v, or another's grant", i, err)
					}
				})
			}
		}
		synctest.Wait()
		release()
		swaps.Wait()
		if takes := k.records.takes.Load(); takes != int64(len(raws)) {
			t.Errorf("%d takes for %d references, want one each", takes, len(raws))
		}
	})
}

func TestFlightOutlivesTheSwapThatStartedIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		release := k.held()
		ctx, cancel := context.WithCancel(t.Context())
		first := k.swapLater(ctx, raw, exchange.Leased)
		synctest.Wait()
		second := k.swapLater(t.Context(), raw, exchange.Leased)
		synctest.Wait()
		cancel()
		got := <-first
		if !errors.Is(got.err, exchange.ErrUnavailable) || !errors.Is(got.err, context.Canceled) {
			t.Errorf("cancelled swap: %v, want unavailable because cancelled", got.err)
		}
		release()
		if got := <-second; got.err != nil {
			t.Errorf("the swap that waited on: %v", got.err)
		}
		if takes := k.records.takes.Load(); takes != 1 {
			t.Errorf("%d takes, want 1", takes)
		}
	})
}

func TestFlightHasADeadlineOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		k.held() // never released
		start := time.Now()
		k.refused(raw, exchange.ReasonUnavailable) // with a ctx that never ends
		if waited := time.Since(start); waited > 10*time.Second {
			t.Errorf("waited %v, want at most 10 s", waited)
		}
	})
}

func TestFlightThatPanicsIsUnavailableAndNotKept(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	_, raw := k.issue()
	k.records.take = func(context.Context, string) (store.Taken, error) { panic("a bug") }
	k.refused(raw, exchange.ReasonUnavailable)
	k.records.take = nil
	k.swap(raw, exchange.SourceMiss)
}

// A revocation while the answer travels. It serves those who waited for it, for what is left of its own lease, which the
// revoker waits for; whoever comes after asks anew.
func TestFillThatCrossesARevocationIsNotCached(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		travels time.Duration
		used    bool
	}{
		{"and is used while its own lease runs", lease - time.Millisecond, true},
		{"and is not used after that", lease, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				d, raw := k.issue()
				release := k.held()
				swap := k.swapLater(t.Context(), raw, exchange.Leased)
				synctest.Wait()
				k.revoke(store.KindToken, d.manifest.JTI)
				time.Sleep(row.travels) // the log is pulled meanwhile
				release()
				got := <-swap
				if row.used != (got.err == nil) || !row.used && !errors.Is(got.err, exchange.ErrInactive) {
					t.Errorf("error %v, want that it is used: %v", got.err, row.used)
				}
				if source := k.refused(raw, exchange.ReasonUnknown); source != exchange.SourceMiss && row.used {
					t.Errorf("source %q, want miss", source)
				}
			})
		})
	}
}

// A swap that missed the cache just before a flight filled it.
func TestSwapTooLateForItsFlightFindsTheAnswer(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d, raw := k.issue()
	k.swap(raw, exchange.SourceMiss)
	if err := exchange.Ask(k.edge, d.reference); err != nil || k.records.takes.Load() != 1 {
		t.Errorf("error %v after %d takes, want none after 1", err, k.records.takes.Load())
	}
}

func TestAbsenceIsRememberedForASecondAndErrorsNever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		raw := k.depositor.Reference().Reveal() // genuine, and nothing behind it
		k.refused(raw, exchange.ReasonUnknown)
		time.Sleep(999 * time.Millisecond)
		if source := k.refused(raw, exchange.ReasonUnknown); source != exchange.SourceNegative || k.records.takes.Load() != 1 {
			t.Errorf("source %q after %d takes, want negative after 1", source, k.records.takes.Load())
		}
		time.Sleep(time.Millisecond)
		if source := k.refused(raw, exchange.ReasonUnknown); source != exchange.SourceMiss || k.records.takes.Load() != 2 {
			t.Errorf("source %q after %d takes, want miss after 2", source, k.records.takes.Load())
		}
	})
}

func TestFloodOfAbsentReferencesDisplacesNoGrant(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	var live []string
	for range 20 {
		_, raw := k.issue()
		k.swap(raw, exchange.SourceMiss)
		live = append(live, raw)
	}
	for range 10_000 {
		k.refused(k.depositor.Reference().Reveal(), exchange.ReasonUnknown)
	}
	for _, raw := range live {
		k.swap(raw, exchange.SourceHit)
	}
}
