package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// away is a store that cannot answer.
func away(context.Context, string) (store.Taken, error) {
	return store.Taken{}, fmt.Errorf("take: %w", store.ErrUnavailable)
}

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
	grant  *exchange.Grant
	source exchange.Source
	err    error
}

func (k *kit) swapLater(ctx context.Context, raw string) <-chan swapped {
	done := make(chan swapped, 1)
	go func() {
		g, s, err := k.edge.Swap(ctx, raw)
		done <- swapped{g, s, err}
	}()
	return done
}

func TestThousandSwapsOfOneReferenceAskTheStoreOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, raw := k.issue()
		release := k.held()
		var swaps sync.WaitGroup
		for range 1000 {
			swaps.Go(func() {
				if _, _, err := k.edge.Swap(t.Context(), raw); err != nil {
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
		k := newKit(t)
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
					g, _, err := k.edge.Swap(t.Context(), raw)
					if err != nil || g.JTI() != jtis[i] {
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
		k := newKit(t)
		_, raw := k.issue()
		release := k.held()
		ctx, cancel := context.WithCancel(t.Context())
		first := k.swapLater(ctx, raw)
		synctest.Wait()
		second := k.swapLater(t.Context(), raw)
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
		k := newKit(t)
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
	k := newKit(t)
	_, raw := k.issue()
	k.records.take = func(context.Context, string) (store.Taken, error) { panic("a bug") }
	k.refused(raw, exchange.ReasonUnavailable)
	k.records.take = nil
	k.swap(raw, exchange.SourceMiss)
}

// A revocation while the answer travels: the answer is true no more, for whoever waited and for whoever comes after.
func TestLaggingFillIsNeverUsedAfterADrop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *exchange.Config) { c.Lease = time.Hour })
		d, raw := k.issue()
		release := k.held()
		before := k.swapLater(t.Context(), raw)
		synctest.Wait()
		if _, err := k.records.Delete(t.Context(), d.manifest.JTI); err != nil {
			t.Fatal(err)
		}
		k.edge.Drop(d.manifest.JTI)
		after := k.swapLater(t.Context(), raw)
		synctest.Wait()
		if takes := k.records.takes.Load(); takes != 2 {
			t.Errorf("%d takes: the swap after the drop has joined the flight from before it", takes)
		}
		release()
		for name, swap := range map[string]<-chan swapped{"before": before, "after": after} {
			if got := <-swap; got.grant != nil || !errors.Is(got.err, exchange.ErrInactive) {
				t.Errorf("swap from %s the drop: grant %v, error %v; want inactive", name, got.grant, got.err)
			}
		}
		k.refused(raw, exchange.ReasonUnknown)
	})
}

// The flight from before a drop lands first: the one that took its place goes on to be joined.
func TestFlightThatWasReplacedLeavesItsSuccessorAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *exchange.Config) { c.Lease = time.Hour })
		d, raw := k.issue()
		releaseFirst := k.held()
		first := k.swapLater(t.Context(), raw)
		synctest.Wait()
		k.edge.Drop(d.manifest.JTI)
		release := k.held()
		second := k.swapLater(t.Context(), raw)
		synctest.Wait()
		releaseFirst()
		synctest.Wait() // the first has come too late, and waits for the second
		third := k.swapLater(t.Context(), raw)
		synctest.Wait()
		release()
		for _, swap := range []<-chan swapped{first, second, third} {
			if got := <-swap; got.err != nil {
				t.Errorf("Swap: %v", got.err)
			}
		}
		if takes := k.records.takes.Load(); takes != 2 {
			t.Errorf("%d takes, want 2: one before the drop and one after it", takes)
		}
	})
}

// A swap that missed the cache just before a flight filled it.
func TestSwapTooLateForItsFlightFindsTheAnswer(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *exchange.Config) { c.Lease = time.Hour })
	d, raw := k.issue()
	k.swap(raw, exchange.SourceMiss)
	if err := exchange.Ask(k.edge, d.reference); err != nil || k.records.takes.Load() != 1 {
		t.Errorf("error %v after %d takes, want none after 1", err, k.records.takes.Load())
	}
}

// A lease runs from the asking: an answer that took longer than that is worth nothing.
func TestAnswerLaterThanItsLeaseIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, raw := k.issue()
		k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
			answer, err := k.records.Memory.Take(ctx, jti)
			time.Sleep(500 * time.Millisecond)
			return answer, err
		}
		k.refused(raw, exchange.ReasonUnavailable)
		k.records.take = nil
		k.swap(raw, exchange.SourceMiss)
	})
}

func TestAbsenceIsRememberedForASecondAndErrorsNever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
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
	k := newKit(t, func(c *exchange.Config) { c.Lease = time.Hour })
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
