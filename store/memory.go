package store

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// sweepSteps is how many ended grants one write clears away: more than the one that it adds, so that the dead
// never outnumber the living for long, and few enough that no write stalls.
const sweepSteps = 4

// Memory is the store in process: for `coatcheck dev` and tests. Its clock is time.Now. Like a Redis that has just been
// started it is empty, and closed until somebody opens its shards.
type Memory struct {
	mu          sync.Mutex // guards all below, and the shards
	shards      []*memoryShard
	states      map[string]state
	registers   map[string]memoryRegister
	seen        map[string]Seen // by edge
	replication string
	replica     bool // not a master
	full        bool // out of memory
}

type grant struct {
	blob                           []byte
	client, family, subject, keyID string
	born                           uint64 // the shard's seq when it was put
	issued, expires                int64  // unix seconds
	end                            int64  // of its quota bucket; unix seconds, never before expires
	turn                           turning
}

func (g grant) usage() usage { return usage{1, int64(len(g.blob))} }

type state struct {
	version uint64
	blob    []byte
}

// NewMemory makes an empty store of one shard.
func NewMemory() *Memory { return NewShardedMemory(1) }

// NewShardedMemory makes an empty store of n shards; n is 1 or more.
func NewShardedMemory(n int) *Memory {
	m := &Memory{states: map[string]state{}, registers: map[string]memoryRegister{}, seen: map[string]Seen{}, replication: rand.Text()}
	for range n {
		m.shards = append(m.shards, newMemoryShard())
	}
	return m
}

// Put writes a new record. ErrExists, ErrRevoked, ErrQuota or ErrUnavailable (with ErrClosed); it is never retried inside.
func (m *Memory) Put(ctx context.Context, r Record, q Quota) error {
	err := m.inOpen(ctx, m.ShardOf(r.JTI), r.check(), func(s *memoryShard) error {
		now := time.Now()
		s.sweep(now)
		return s.put(r, q.share(len(m.shards)), m.full, now)
	})
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}

func (s *memoryShard) put(r Record, q Quota, full bool, now time.Time) error {
	g := grant{
		blob: bytes.Clone(r.Blob), client: r.Client, family: r.Family, subject: r.Subject, keyID: r.KeyID, born: s.head.at.Seq,
		issued: r.IssuedAt.Unix(), expires: r.ExpiresAt.Unix(), end: bucketEnd(r.IssuedAt.Unix(), r.ExpiresAt.Unix()),
		turn: turning{current: r.First},
	}
	if g.expires <= now.Unix() {
		return errExpired
	}
	if !s.admits(r, now) {
		return ErrRevoked
	}
	if old, ok := s.records[r.JTI]; ok && old.expires > now.Unix() {
		return ErrExists
	}
	used := s.ledgers[g.client]
	if !used.total(now).plus(g.usage()).within(q) {
		return ErrQuota
	}
	if full {
		return fmt.Errorf("%w: %w", ErrUnavailable, errFull)
	}
	if used == nil {
		used = ledger{}
		s.ledgers[g.client] = used
	}
	used[g.end] = used[g.end].plus(g.usage())
	s.records[r.JTI] = g
	heap.Push(&s.ends, ending{g.end, r.JTI, g.client})
	return nil
}

// Take reads a record. ErrNotFound, also if it is revoked; ErrUnavailable (with ErrClosed).
func (m *Memory) Take(ctx context.Context, jti string) (taken Taken, err error) {
	shard := m.ShardOf(jti)
	err = m.inOpen(ctx, shard, checkName("jti", jti), func(s *memoryShard) error {
		g, ok := s.records[jti]
		if !ok || g.expires <= time.Now().Unix() || s.dead(g) {
			return ErrNotFound
		}
		taken = Taken{Blob: bytes.Clone(g.blob), Seq: s.head.at.Seq, Incarnation: s.head.incarnation, Shard: shard, Lease: s.head.lease}
		return nil
	})
	if err != nil {
		return Taken{}, fmt.Errorf("take: %w", err)
	}
	return taken, nil
}

// State reads a piece of sealed state. A state never written has version 0 and no blob.
func (m *Memory) State(ctx context.Context, name string) (version uint64, blob []byte, err error) {
	if err := ready(ctx, checkName("state", name)); err != nil {
		return 0, nil, fmt.Errorf("state: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[name]
	return s.version, bytes.Clone(s.blob), nil
}

// SwapState writes version old+1 if the version is still old; else ErrConflict.
func (m *Memory) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	if err := ready(ctx, checkName("state", name), checkState(blob)); err != nil {
		return fmt.Errorf("swap_state: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states[name].version != old {
		return fmt.Errorf("swap_state: %w", ErrConflict)
	}
	if m.replica {
		return fmt.Errorf("swap_state: %w: a replica", ErrUnavailable)
	}
	m.states[name] = state{old + 1, bytes.Clone(blob)}
	return nil
}

// Check has nothing to ask of a store that is this process: nil, unless ctx has ended.
func (m *Memory) Check(ctx context.Context) error {
	if err := ready(ctx); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

// Close has nothing to release.
func (m *Memory) Close() error { return nil }

// ready is the first of the checks that failed, or that the context has ended: such a call does nothing.
func ready(ctx context.Context, checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}
