package exchange_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// While the log is followed one question serves a grant for good; without a lease each request asks; and none of that
// verifies a signature twice.
func TestCacheAnswersOnlyUnderALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		g := k.swap(raw, exchange.SourceMiss)
		for range 20 {
			time.Sleep(lease / 2)
			k.decide(k.pass(raw, exchange.Leased, exchange.SourceHit))
		}
		k.cost(1, 1)

		k.feed.down.Store(true)
		k.swap(raw, exchange.SourceHit) // the last lease still runs
		time.Sleep(lease)
		for range 3 {
			if again := k.swap(raw, exchange.SourceMiss); again != g {
				t.Error("an equal answer of the store made another grant")
			}
		}
		k.cost(4, 1)

		k.feed.down.Store(false)
		time.Sleep(2 * lease)           // while nothing is heard, the log is pulled less often
		k.swap(raw, exchange.SourceHit) // nothing was revoked meanwhile: what was known holds again
		k.cost(4, 1)
	})
}

// What is first seen while there is no lease is asked for every time; the lease makes it cacheable, not the wait.
func TestNothingIsCachedBeforeTheLogIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		k.records.Restart() // another incarnation, which the follower does not hear of
		k.feed.down.Store(true)
		openShards(t, k.records, lease)
		time.Sleep(lease)
		for range 3 {
			k.decide(k.pass(raw, exchange.Leased, exchange.SourceMiss))
		}
		k.cost(3, 3)
		k.feed.down.Store(false)
		time.Sleep(2 * lease) // while nothing is heard, the log is pulled less often
		k.swap(raw, exchange.SourceMiss)
		k.swap(raw, exchange.SourceHit)
		k.cost(4, 4)
	})
}

func TestSwapServesWithinTheLeaseAndNotBeyondWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		_, unseen := k.issue()
		k.swap(raw, exchange.SourceMiss)
		k.records.take = away
		k.feed.down.Store(true)
		p := k.pass(raw, exchange.Leased, exchange.SourceHit)
		time.Sleep(k.decide(p) - 1)
		k.swap(raw, exchange.SourceHit)
		k.refused(unseen, exchange.ReasonUnavailable)
		time.Sleep(1)
		for range 3 { // an error is never remembered
			if source := k.refused(raw, exchange.ReasonUnavailable); source != exchange.SourceMiss {
				t.Errorf("source %q, want miss", source)
			}
			k.undecided(p, exchange.ReasonUnavailable)
		}
		k.records.take = nil
		k.swap(raw, exchange.SourceMiss)
		k.swap(unseen, exchange.SourceMiss)
	})
}

// A store that restarts with all its data says nothing until the issuers have opened it: that is no word about any
// reference, and all are good afterwards.
func TestClosedShardIsUnavailableAndNeverInactive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		_, unseen := k.issue()
		k.swap(raw, exchange.SourceMiss)
		p := k.pass(raw, exchange.Leased, exchange.SourceHit)
		k.records.Restart()
		time.Sleep(lease)
		for range 3 {
			k.refused(raw, exchange.ReasonClosed)
			k.refused(unseen, exchange.ReasonClosed)
			k.undecided(p, exchange.ReasonClosed)
		}
		openShards(t, k.records, lease)
		k.decide(p)
		k.swap(unseen, exchange.SourceMiss)
		time.Sleep(2 * lease) // while nothing is heard, the log is pulled less often
		k.swap(raw, exchange.SourceHit)
		k.swap(unseen, exchange.SourceMiss) // its answer was of an incarnation that the log had not told of
		k.swap(unseen, exchange.SourceHit)
	})
}

// The store was emptied: it is closed until somebody opens it, and what was before is over.
func TestEmptiedStoreEndsWhatIsCached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		k.swap(raw, exchange.SourceMiss)
		k.records.Clear()
		time.Sleep(lease)
		k.refused(raw, exchange.ReasonClosed)
		openShards(t, k.records, lease)
		time.Sleep(lease)
		k.refused(raw, exchange.ReasonUnknown)
	})
}

// Without a place in the log nobody knows what was revoked: every grant is asked for once more, and is not verified
// again.
func TestFlushMakesTheStoreBeAskedOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		k.swap(raw, exchange.SourceHit)
		k.forget()
		k.decide(p)
		k.swap(raw, exchange.SourceHit) // the decision has asked for all
		k.cost(2, 1)
	})
}

// An answer of another incarnation than that of the log may have missed what the log says, or the reverse: it serves
// those who waited for it, and nobody after.
func TestAnswerOfAnotherIncarnationIsNotCached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
			taken, err := k.records.Memory.Take(ctx, jti)
			taken.Incarnation, taken.Seq = "another", taken.Seq+100
			return taken, err
		}
		p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		k.swap(raw, exchange.SourceMiss)
		if good := k.decide(p); good != lease {
			t.Errorf("good for %v, want the answer's own lease of %v", good, lease)
		}
		k.cost(2, 2)
		k.records.take = nil
		k.swap(raw, exchange.SourceMiss)
		k.swap(raw, exchange.SourceHit)
	})
}

// A lease of the answer runs from the asking: without the log, one that took longer than that is worth nothing.
func TestAnswerLaterThanItsLeaseIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		_, raw := k.issue()
		k.feed.down.Store(true)
		time.Sleep(lease)
		var slow time.Duration
		k.records.take = func(ctx context.Context, jti string) (store.Taken, error) {
			answer, err := k.records.Memory.Take(ctx, jti)
			time.Sleep(slow)
			return answer, err
		}
		slow = lease
		k.refused(raw, exchange.ReasonUnavailable)
		slow = lease - 1
		if good := k.decide(k.pass(raw, exchange.Leased, exchange.SourceMiss)); good != 1 {
			t.Errorf("good for %v, want the 1 ns that is left", good)
		}
	})
}

// cost holds the kit to how often the store was asked, and how often a signature was verified.
func (k *kit) cost(takes, verified int64) {
	k.t.Helper()
	if t, v := k.records.takes.Load(), k.keys.asked.Load(); t != takes || v != verified {
		k.t.Errorf("%d takes and %d verifications, want %d and %d", t, v, takes, verified)
	}
}

// away is a store that cannot answer.
func away(context.Context, string) (store.Taken, error) {
	return store.Taken{}, fmt.Errorf("take: %w", store.ErrUnavailable)
}
