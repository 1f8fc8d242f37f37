package revocation

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// lowering is a shard whose edges are told a lower lease than revokers wait for, and since when it has been seen so. The id
// says that nobody has raised it meanwhile, also if it was lowered again.
type lowering struct {
	id    string
	since time.Time
}

// tune brings the shard to the configured lease, once: where issuers are configured differently, the last to start
// decides. A lease is raised at once. It is lowered in two steps: edges are told the new one; revokers go on waiting for
// the old one until no edge can hold it any more. Any issuer takes the second step, also for one that died between.
//
// again reports that the shard has changed and must be looked at anew.
func (w *worker) tune(ctx context.Context, s store.Shard) (again bool, err error) {
	want := w.r.config.Lease
	if !w.leased && s.Lease != want {
		w.log.LogAttrs(ctx, slog.LevelInfo, "lease changed", slog.Duration("from", s.Lease), slog.Duration("to", want))
		return w.setLease(ctx, s, want, max(s.Sleep, want))
	}
	w.leased = true
	if s.Sleep <= s.Lease {
		w.lowering = lowering{}
		return false, nil
	}
	if w.lowering.id != s.LeaseID {
		w.lowering = lowering{s.LeaseID, time.Now()}
	}
	if time.Since(w.lowering.since) < over(s.Sleep) {
		return false, nil
	}
	return w.setLease(ctx, s, s.Lease, s.Lease)
}

func (w *worker) setLease(ctx context.Context, s store.Shard, lease, sleep time.Duration) (again bool, err error) {
	err = ask(ctx, func(ctx context.Context) error {
		return w.r.config.Shards.SetLease(ctx, w.shard, s.LeaseID, lease, sleep)
	})
	if errors.Is(err, store.ErrConflict) {
		err = nil // another issuer did
	}
	return true, err
}

// leases are what edges may have: the longest that a shard has said, each until no edge can hold it any more after
// the shard was first heard to say less. For a shard may say less because it has lost something.
type leases struct {
	last time.Duration
	past []past // that are waited for
}

type past struct {
	lease time.Duration
	until time.Time
}

// hear takes notice of a lease, or of a sleep, and answers how long to wait.
func (t *leases) hear(now time.Time, lease time.Duration) (longest time.Duration) {
	t.past = slices.DeleteFunc(t.past, func(p past) bool { return !now.Before(p.until) })
	if lease < t.last {
		held := min(t.last, longestLease) // whatever a damaged head said: no edge uses more
		t.past = append(t.past, past{held, now.Add(over(held))})
	}
	t.last, longest = lease, lease
	for _, p := range t.past {
		longest = max(longest, p.lease)
	}
	return longest
}

// over is how long it takes on this host until a lease that begins now anywhere has ended.
func over(lease time.Duration) time.Duration { return lease + lease/rateError + slack }
