package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Shards is how many shards there are; fixed.
func (r *Redis) Shards() int { return len(r.shards) }

// ShardOf is the shard of a jti.
func (r *Redis) ShardOf(jti string) int { return shardOf(jti, len(r.shards)) }

// Pull reads the log of every shard after the positions given, one for each shard: one pipelined round trip, over a
// connection that nothing else waits for. seen, if not empty, is this edge's name: its positions are shown to operators.
func (r *Redis) Pull(ctx context.Context, after []Position, seen string) []Pulled {
	begun := time.Now()
	pulled := make([]Pulled, len(r.shards))
	answers, err := r.pull(ctx, after, seen)
	var failed error // of them, one stands for the round trip in the metrics
	for i := range pulled {
		if err == nil {
			pulled[i], pulled[i].Err = readPulled(answers[i], after[i])
		} else {
			pulled[i].Err = err
		}
		if pulled[i].Err != nil {
			failed = pulled[i].Err
			pulled[i] = Pulled{Err: fmt.Errorf("pull: %w", failed)}
		}
	}
	r.meters.record(ctx, commandPull, time.Since(begun), failed)
	return pulled
}

func (r *Redis) pull(ctx context.Context, after []Position, seen string) ([]reply, error) {
	if err := ready(ctx, checkPull(after, len(r.shards), seen)); err != nil {
		return nil, err
	}
	asked := make([]question, len(after))
	for i, k := range r.shards {
		asked[i] = question{[]string{k.head(), k.log(), k.floors()}, shardName(i), []any{formatCount(after[i].Seq), after[i].ID, page, tooFar}}
	}
	return bounded(ctx, r.timeout, func(ctx context.Context) ([]reply, error) {
		return converse(ctx, r.puller, pullScript, asked, func(p redis.Pipeliner) {
			if seen != "" { // its own failure is nobody's: it is for people
				p.HSet(ctx, r.shards[0].seen(), seen, seenText(time.Now(), after))
			}
		})
	})
}

// Revoke writes a batch to one shard in order, and stops at the first that fails. fence is "" for a shard that must be
// open; else the replication id that the node must have, open or not: so an issuer brings its journal into a shard
// before it is opened. With replicas above 0 it waits, on the connection that wrote, until so many have confirmed, or
// fails. Each revocation deletes first and is done once: what the shard has already, by number, it only confirms.
// Errors: ErrUnavailable (with ErrClosed), ErrConflict (another journal is enrolled for this issuer). With an error,
// what the answer says was done is done, and more may be.
func (r *Redis) Revoke(ctx context.Context, shard int, by Author, fence string, batch []Numbered, replicas int) (Revoked, error) {
	begun := time.Now()
	revoked, err := r.revoke(ctx, shard, by, fence, batch, replicas)
	r.meters.record(ctx, commandRevoke, time.Since(begun), err)
	if err != nil {
		return revoked, fmt.Errorf("revoke: %w", err)
	}
	return revoked, nil
}

func (r *Redis) revoke(ctx context.Context, shard int, by Author, fence string, batch []Numbered, replicas int) (Revoked, error) {
	if err := ready(ctx, checkShard(shard, len(r.shards)), by.check(), checkFence(fence), checkBatch(batch, shard, len(r.shards))); err != nil {
		return Revoked{}, err
	}
	asked := make([]question, len(batch))
	last := by.Done
	for i, n := range batch {
		asked[i] = r.shards[shard].question(n, last, by, fence, r.now())
		last = n.Number
	}
	type answer struct {
		replies   []reply
		confirmed int64
	}
	got, err := bounded(ctx, r.timeout, func(ctx context.Context) (answer, error) {
		patience := r.timeout
		if deadline, ok := ctx.Deadline(); ok {
			patience = time.Until(deadline)
		}
		conn := r.client.Conn()             // one, because WAIT waits for what its own connection has written
		defer func() { _ = conn.Close() }() // gives it back
		var wait *redis.Cmd
		replies, err := converse(ctx, conn, revokeScript, asked, func(p redis.Pipeliner) {
			if replicas > 0 {
				wait = p.Do(ctx, "WAIT", replicas, max(1, (patience*3/4).Milliseconds())) // the rest is for the way
			}
		})
		if err != nil || wait == nil {
			return answer{replies: replies}, err
		}
		confirmed, err := wait.Int64()
		return answer{replies, confirmed}, err
	})
	if err != nil {
		return Revoked{}, err
	}
	revoked, err := readRevoked(got.replies)
	revoked.Replicas = int(got.confirmed)
	if err == nil && got.confirmed < int64(replicas) {
		err = errReplicas(got.confirmed, replicas)
	}
	return revoked, err
}

// question is one call of revoke.lua; last is the number that must have been done before it, now is this issuer's time.
func (l layout) question(n Numbered, last uint64, by Author, fence string, now time.Time) question {
	record, tomb := l.dummy(), l.dummy()
	if n.Kind == KindToken {
		record, tomb = l.record(n.Name), l.tomb(n.Name)
	}
	return question{
		[]string{l.head(), l.floors(), l.log(), l.journals(), record, tomb, l.dummy()},
		formatCount(n.Number),
		[]any{
			formatCount(last), string(n.Kind), n.Name, n.Until.Unix(), by.Issuer, by.Journal, fence,
			rand.Text(), l.quota(""), clockSlack, trimSteps, int64(keptFor / time.Second), now.Unix(),
		},
	}
}
