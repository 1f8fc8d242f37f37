package store

import (
	"context"
	"time"
)

// Shards is how many shards there are; fixed.
func (r *Redis) Shards() int { panic("contract") }

// ShardOf is the shard of a jti.
func (r *Redis) ShardOf(jti string) int { panic("contract") }

// Pull reads the log of every shard after the positions given, one for each shard: one pipelined round trip, over a
// connection that nothing else waits for. seen, if not empty, is this edge's name: its positions are shown to operators.
func (r *Redis) Pull(ctx context.Context, after []Position, seen string) []Pulled { panic("contract") }

// Revoke writes a batch to one shard in order, and stops at the first that fails. fence is "" for a shard that must be
// open; else the replication id that the node must have, open or not: so an issuer brings its journal into a shard
// before it is opened. With replicas above 0 it waits, on the connection that wrote, until so many have confirmed, or
// fails. Each revocation deletes first and is done once: what the shard has already, by number, it only confirms.
// Errors: ErrUnavailable (with ErrClosed), ErrConflict (another journal is enrolled for this issuer).
func (r *Redis) Revoke(ctx context.Context, shard int, by Author, fence string, batch []Numbered, replicas int) (Revoked, error) {
	panic("contract")
}

// Shard reads the state of a shard, open or not. ErrUnavailable.
func (r *Redis) Shard(ctx context.Context, shard int, issuer string) (Shard, error) {
	panic("contract")
}

// Enrol makes the author's journal the one that vouches for this issuer, from an open shard on; Done begins at 0.
// ErrUnavailable, with ErrClosed if the shard is.
func (r *Redis) Enrol(ctx context.Context, shard int, by Author) error { panic("contract") }

// Vote tells a closed shard whether all that the author's journal knows is in it. It counts under that replication id only.
func (r *Redis) Vote(ctx context.Context, shard int, by Author, replication string, whole bool) error {
	panic("contract")
}

// Open opens a closed shard in one step, under a new incarnation, and reports whether earlier grants had to end.
// ErrConflict: the node is another, the shard is open already, or votes are missing.
func (r *Redis) Open(ctx context.Context, shard int, o Opening) (ended bool, err error) {
	panic("contract")
}

// SetLease sets what edges are told and what revokers wait; sleep is never below lease. ErrUnavailable, ErrConflict
// (the lease was no longer old).
func (r *Redis) SetLease(ctx context.Context, shard int, old, lease, sleep time.Duration) error {
	panic("contract")
}

// List reads records of one shard in no order, about limit at a time; a cursor of 0 begins and ends. For
// administration: it walks the whole shard. A record may come twice.
func (r *Redis) List(ctx context.Context, shard int, cursor uint64, limit int) (found []Listed, next uint64, err error) {
	panic("contract")
}

// Inspect reads one record's clear part. ErrNotFound, ErrRevoked (a tombstone), ErrCorrupt, ErrUnavailable.
func (r *Redis) Inspect(ctx context.Context, jti string) (Listed, error) { panic("contract") }

// Seen lists the edges that told of themselves in the last minute.
func (r *Redis) Seen(ctx context.Context) ([]Seen, error) { panic("contract") }
