package revocation

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// work serves an open shard until it is time to look at it again.
func (w *worker) work(ctx context.Context, s store.Shard) error {
	w.self.seen = s.Incarnation
	if again, err := w.tune(ctx, s); again || err != nil {
		return err
	}
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	for {
		if err := w.bring(ctx, ""); err != nil {
			return err
		}
		w.report(nil)
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			return nil
		case <-w.wake:
		}
	}
}

// enrol makes the journal the one that vouches for this issuer from now on.
func (w *worker) enrol(ctx context.Context, s store.Shard) error {
	err := ask(ctx, func(ctx context.Context) error {
		return w.r.config.Shards.Enrol(ctx, w.shard, w.r.author, s.Journal)
	})
	if errors.Is(err, store.ErrConflict) {
		return nil // a question of a process before this one was late; the next look tells
	}
	if err != nil {
		return err
	}
	w.self.seen = s.Incarnation
	w.log.LogAttrs(ctx, slog.LevelInfo, "journal enrolled", slog.String("journal", w.self.journal), slog.String("instead_of", s.Journal))
	return nil
}

// vote tells a closed shard whether it has all that this issuer has revoked, after bringing in what it lacks.
func (w *worker) vote(ctx context.Context, s store.Shard, whole bool) error {
	if whole {
		if err := w.bring(ctx, s.Replication); err != nil {
			return err
		}
	}
	return ask(ctx, func(ctx context.Context) error {
		return w.r.config.Shards.Vote(ctx, w.shard, w.r.author, s.Replication, whole)
	})
}

// open opens a closed shard for which everybody has voted, or nobody needs to.
func (w *worker) open(ctx context.Context, s store.Shard) error {
	absent, gap := missing(s, w.self.issuers), gaps(s, w.self.issuers)
	opening := store.Opening{
		Replication: s.Replication, Issuers: w.self.issuers, Missing: s.Empty || len(absent) > 0,
		Life: w.r.config.Life, Lease: w.r.config.Lease,
	}
	var ended bool
	err := ask(ctx, func(ctx context.Context) (err error) {
		ended, err = w.r.config.Shards.Open(ctx, w.shard, opening)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return nil // another issuer was faster; the next look tells
	}
	if err != nil {
		return err
	}
	if !ended {
		w.log.LogAttrs(ctx, slog.LevelInfo, "shard opened: nothing is missing, all grants live on")
		return nil
	}
	w.log.LogAttrs(ctx, w.grave(s), "shard opened: earlier grants have ended, because it cannot be known what was revoked; "+
		"if no issuer is named here, one that is not on the list has revoked lately",
		slog.Bool("empty", s.Empty), slog.String("issuers_missing", strings.Join(absent, " ")),
		slog.String("issuers_not_enrolled", strings.Join(gap, " ")))
	return nil
}

// concerns reports whether a revocation is for this shard: a token's is for that of its jti, all others for all.
func (w *worker) concerns(r Revocation) bool {
	return r.Kind != Token || w.r.config.Shards.ShardOf(r.Name) == w.shard
}

// bring brings the journal into the shard, in order, from where it is on. It stops at the first failure: what is asked
// again then, the shard knows by its number.
//
// With a fence the shard is closed. Replicas are not waited for then, or one that is away would keep it closed for ever;
// the journals vouch for what is lost with a node. So nothing that was brought in is confirmed: once the shard is open, it
// is sent again, with WAIT, before anybody is told that it is in force.
func (w *worker) bring(ctx context.Context, fence string) error {
	at, replicas := &w.confirmed, w.r.config.Replicas
	if fence != "" {
		at, replicas = &w.brought, 0
	}
	for {
		batch, looked := w.next(*at, batchLimit)
		if len(batch) == 0 {
			*at = looked
			return nil
		}
		w.self.sent = max(w.self.sent, batch[len(batch)-1].Number)
		by := w.r.author
		by.Done = w.done // a shard that has less has lost something, which must come first
		var a store.Revoked
		err := ask(ctx, func(ctx context.Context) (err error) {
			a, err = w.r.config.Shards.Revoke(ctx, w.shard, by, fence, batch, replicas)
			return err
		})
		if a.Done > w.self.sent {
			return w.foreign(a.Done)
		}
		if err == nil || replicas == 0 {
			w.took(ctx, batch, a, at, fence == "")
		}
		if err != nil {
			return err
		}
		if a.Done < batch[len(batch)-1].Number {
			return errors.New("took fewer revocations than it was sent")
		}
	}
}

// took takes notice of what the shard has done of a batch.
func (w *worker) took(ctx context.Context, batch []store.Numbered, a store.Revoked, upTo *uint64, inForce bool) {
	if a.Done == 0 {
		return // no answer
	}
	at := time.Now()
	w.seq = a.At.Seq
	sleep := max(w.told.hear(at, a.Sleep), w.r.config.Lease)
	for i, n := range batch {
		if n.Number > a.Done {
			break
		}
		found := i < len(a.Found) && a.Found[i]
		if n.Number > w.done {
			w.log.LogAttrs(ctx, slog.LevelInfo, "revoked", slog.String("kind", string(n.Kind)), slog.String("name", n.Name),
				slog.Uint64("number", n.Number), slog.Uint64("seq", a.At.Seq), slog.Bool("found", found))
		}
		*upTo = max(*upTo, n.Number)
		w.settle(n.Number, answer{at: at, sleep: sleep, seq: a.At.Seq, found: found}, inForce)
	}
	w.done = max(w.done, min(a.Done, *upTo))
}
