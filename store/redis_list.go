package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// List reads records of one shard in no order, about limit at a time; a cursor of 0 begins and ends. For
// administration: it walks the whole shard. A record may come twice.
func (r *Redis) List(ctx context.Context, shard int, cursor uint64, limit int) (found []Listed, next uint64, err error) {
	if err := ready(ctx, checkShard(shard, len(r.shards)), checkLimit(limit)); err != nil {
		return nil, 0, fmt.Errorf("list: %w", err)
	}
	k := r.shards[shard]
	values, err := r.ask(ctx, listScript, []string{k.head(), k.floors()}, shardName(shard), k.record(""), formatCount(cursor), limit)
	if err != nil {
		return nil, 0, err
	}
	if found, next, err = readList(values); err != nil {
		return nil, 0, fmt.Errorf("list: %w", err)
	}
	return found, next, nil
}

// Inspect reads one record's clear part. ErrNotFound, ErrRevoked (a tombstone), ErrCorrupt, ErrUnavailable.
func (r *Redis) Inspect(ctx context.Context, jti string) (Listed, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return Listed{}, fmt.Errorf("inspect: %w", err)
	}
	k := r.home(jti)
	values, err := r.ask(ctx, inspectScript, []string{k.record(jti), k.head(), k.floors(), k.tomb(jti)}, jti)
	if err != nil {
		return Listed{}, err
	}
	listed, err := readInspected(values, jti)
	if err != nil {
		return Listed{}, fmt.Errorf("inspect: %w", err)
	}
	return listed, nil
}

// Seen lists the edges that told of themselves in the last minute, by name.
func (r *Redis) Seen(ctx context.Context) ([]Seen, error) {
	if err := ready(ctx); err != nil {
		return nil, fmt.Errorf("seen: %w", err)
	}
	values, err := r.ask(ctx, seenScript, []string{r.shards[0].seen()}, "seen", seenFor.Milliseconds(), maxSeen)
	if err != nil {
		return nil, err
	}
	seen, err := readSeen(values[0])
	if err != nil {
		return nil, fmt.Errorf("seen: %w", err)
	}
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Edge, b.Edge) })
	return seen, nil
}
