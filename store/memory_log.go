package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Shards is how many shards there are; fixed.
func (m *Memory) Shards() int { return len(m.shards) }

// ShardOf is the shard of a jti.
func (m *Memory) ShardOf(jti string) int { return shardOf(jti, len(m.shards)) }

// Pull reads the log of every shard after the positions given, one for each shard. seen, if not empty, is this edge's
// name: its positions are shown to operators.
func (m *Memory) Pull(ctx context.Context, after []Position, seen string) []Pulled {
	pulled := make([]Pulled, len(m.shards))
	err := ready(ctx, checkPull(after, len(m.shards), seen))
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.shards {
		failed := err
		if failed == nil {
			failed = m.closed(s)
		}
		if failed != nil {
			pulled[i].Err = fmt.Errorf("pull: %w", failed)
			continue
		}
		pulled[i] = s.pull(after[i])
	}
	if err == nil && seen != "" && !m.replica && !m.full {
		m.seen[seen] = Seen{seen, time.UnixMilli(time.Now().UnixMilli()), seqs(after)}
	}
	return pulled
}

// Revoke writes a batch to one shard in order. fence is "" for a shard that must be open; else the replication id that
// the store must have, open or not. Memory has no replicas: with replicas above 0 it fails, though the batch is written.
// Errors: ErrUnavailable (with ErrClosed), ErrConflict (another journal is enrolled for this issuer).
func (m *Memory) Revoke(ctx context.Context, shard int, by Author, fence string, batch []Numbered, replicas int) (Revoked, error) {
	if err := ready(ctx, checkShard(shard, len(m.shards)), by.check(), checkFence(fence), checkBatch(batch, shard, len(m.shards))); err != nil {
		return Revoked{}, fmt.Errorf("revoke: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shards[shard]
	if err := m.fenced(s, fence); err != nil {
		return Revoked{}, fmt.Errorf("revoke: %w", err)
	}
	mine := s.journals[by.Issuer]
	if mine.journal != by.Journal || s.head == nil {
		return Revoked{}, fmt.Errorf("revoke: %w", ErrConflict)
	}
	if mine.done < by.Done {
		return Revoked{}, fmt.Errorf("revoke: %w: %w", ErrUnavailable, errGap)
	}
	found := make([]bool, len(batch))
	for i, n := range batch {
		if n.Number <= mine.done {
			continue
		}
		found[i] = s.revoke(n.Revocation, time.Now())
		mine.done = n.Number
	}
	mine.at = time.Now().Unix()
	s.journals[by.Issuer] = mine
	answer := Revoked{Done: mine.done, At: s.head.at, Sleep: s.head.sleep, Found: found}
	if replicas > 0 {
		return answer, fmt.Errorf("revoke: %w", errReplicas(0, replicas))
	}
	return answer, nil
}

// SetLease sets what edges are told and what revokers wait; sleep is never below lease. ErrUnavailable, ErrConflict
// (somebody has set the lease, or opened the shard, since it had the lease id).
func (m *Memory) SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error {
	err := m.inOpen(ctx, shard, errors.Join(checkName("lease id", id), checkLease(lease, sleep)), func(s *memoryShard) error {
		if s.head.leaseID != id {
			return ErrConflict
		}
		s.head.lease, s.head.sleep = lease.Truncate(time.Millisecond), sleep.Truncate(time.Millisecond)
		s.head.leaseID = rand.Text()
		return nil
	})
	if err != nil {
		return fmt.Errorf("set_lease: %w", err)
	}
	return nil
}

// List reads records of one shard in no order, about limit at a time; a cursor of 0 begins and ends. For
// administration: it walks the whole shard. A record may come twice.
func (m *Memory) List(ctx context.Context, shard int, cursor uint64, limit int) (found []Listed, next uint64, err error) {
	err = m.inOpen(ctx, shard, checkLimit(limit), func(s *memoryShard) error {
		found, next = s.list(cursor, limit, time.Now())
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list: %w", err)
	}
	return found, next, nil
}

// list walks in the order of a hash, so that what is there all the time is found however the rest changes.
func (s *memoryShard) list(cursor uint64, limit int, now time.Time) (found []Listed, next uint64) {
	type place struct {
		hash uint64
		jti  string
	}
	var places []place
	for jti, g := range s.records {
		h := fnv.New64a()
		h.Write([]byte(jti)) // never fails
		if p := (place{h.Sum64(), jti}); p.hash >= cursor && g.expires > now.Unix() {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.jti, b.jti)) })
	for _, p := range places {
		if len(found) >= limit {
			return found, p.hash
		}
		found = append(found, s.listed(p.jti))
	}
	return found, 0
}

func (s *memoryShard) listed(jti string) Listed {
	g := s.records[jti]
	return Listed{
		JTI: jti, Client: g.client, Family: g.family, Subject: g.subject, KeyID: g.keyID,
		IssuedAt: time.Unix(g.issued, 0), ExpiresAt: time.Unix(g.expires, 0), Bytes: len(g.blob), Revoked: s.dead(g),
		Refresh: g.turn.current != "",
	}
}

// Inspect reads one record's clear part. ErrNotFound, ErrRevoked (a tombstone), ErrCorrupt, ErrUnavailable.
func (m *Memory) Inspect(ctx context.Context, jti string) (listed Listed, err error) {
	err = m.inOpen(ctx, m.ShardOf(jti), checkName("jti", jti), func(s *memoryShard) error {
		if g, ok := s.records[jti]; ok && g.expires > time.Now().Unix() {
			listed = s.listed(jti)
			return nil
		}
		if s.tombs[jti] > time.Now().Unix() {
			return ErrRevoked
		}
		return ErrNotFound
	})
	if err != nil {
		return Listed{}, fmt.Errorf("inspect: %w", err)
	}
	return listed, nil
}

// Seen lists the edges that told of themselves in the last minute, by name.
func (m *Memory) Seen(ctx context.Context) ([]Seen, error) {
	if err := ready(ctx); err != nil {
		return nil, fmt.Errorf("seen: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var seen []Seen
	for name, s := range m.seen {
		if time.Since(s.At) > seenFor {
			delete(m.seen, name)
			continue
		}
		s.Seq = slices.Clone(s.Seq)
		seen = append(seen, s)
	}
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Edge, b.Edge) })
	return seen, nil
}
