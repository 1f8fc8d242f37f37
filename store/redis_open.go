package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// Shard reads the state of a shard, open or not. ErrUnavailable; with ErrClosed if the node is no master.
func (r *Redis) Shard(ctx context.Context, shard int, issuer string) (Shard, error) {
	if err := ready(ctx, checkShard(shard, len(r.shards)), checkName("issuer", issuer)); err != nil {
		return Shard{}, fmt.Errorf("shard: %w", err)
	}
	k := r.shards[shard]
	values, err := r.ask(ctx, shardScript, []string{k.head(), k.journals(), k.votes()}, shardName(shard), issuer)
	if err != nil {
		return Shard{}, err
	}
	answer, err := readShard(values)
	if err != nil {
		return Shard{}, fmt.Errorf("shard: %w", err)
	}
	return answer, nil
}

// Enrol makes the author's journal the one that vouches for this issuer, from an open shard on, instead of the one that the
// caller has seen there, if any; Done begins at 0. A journal that is enrolled already stays so, with its Done. ErrConflict:
// it is another by now. ErrUnavailable, with ErrClosed if the shard is.
func (r *Redis) Enrol(ctx context.Context, shard int, by Author, insteadOf string) error {
	if err := ready(ctx, checkShard(shard, len(r.shards)), by.check()); err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	k := r.shards[shard]
	_, err := r.ask(ctx, enrolScript, []string{k.head(), k.journals(), k.dummy()}, shardName(shard), by.Issuer, by.Journal, insteadOf)
	return err
}

// Vote tells a closed shard whether all that the author's journal knows is in it. It counts under that replication id
// only. ErrConflict: the node has another by now, the shard is open, or whole is said of a journal that is not enrolled.
func (r *Redis) Vote(ctx context.Context, shard int, by Author, replication string, whole bool) error {
	if err := ready(ctx, checkShard(shard, len(r.shards)), by.check(), checkName("replication id", replication)); err != nil {
		return fmt.Errorf("vote: %w", err)
	}
	k, word := r.shards[shard], "gap"
	if whole {
		word = "whole"
	}
	_, err := r.ask(ctx, voteScript, []string{k.head(), k.journals(), k.votes(), k.dummy()}, shardName(shard), by.Issuer, by.Journal, replication, word)
	return err
}

// Open opens a closed shard in one step, under a new incarnation, and reports whether earlier grants had to end.
// ErrConflict: the node is another, the shard is open already, or votes are missing.
func (r *Redis) Open(ctx context.Context, shard int, o Opening) (ended bool, err error) {
	if err := ready(ctx, checkShard(shard, len(r.shards)), o.check()); err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	k, missing := r.shards[shard], "0"
	if o.Missing {
		missing = "1"
	}
	args := []any{o.Replication, rand.Text(), rand.Text(), o.Lease.Milliseconds(), missing, int64(keptFor / time.Second), seconds(o.Life), rand.Text()}
	for _, issuer := range o.Issuers {
		args = append(args, issuer)
	}
	values, err := r.ask(ctx, openScript, []string{k.head(), k.floors(), k.log(), k.journals(), k.votes(), k.dummy()}, shardName(shard), args...)
	if err != nil {
		return false, err
	}
	return values[0] == "1", nil
}

// SetLease sets what edges are told and what revokers wait; sleep is never below lease. ErrUnavailable, ErrConflict
// (somebody has set the lease, or opened the shard, since it had the lease id).
func (r *Redis) SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error {
	if err := ready(ctx, checkShard(shard, len(r.shards)), checkName("lease id", id), checkLease(lease, sleep)); err != nil {
		return fmt.Errorf("set_lease: %w", err)
	}
	k := r.shards[shard]
	_, err := r.ask(ctx, setLeaseScript, []string{k.head(), k.dummy()}, shardName(shard), id, lease.Milliseconds(), sleep.Milliseconds(), rand.Text())
	return err
}
