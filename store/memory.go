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

// Memory is the store in process: for `coatcheck dev` and tests. Its clock is time.Now, its incarnation its own.
type Memory struct {
	incarnation string

	mu      sync.Mutex // guards all below
	seq     uint64
	records map[string]grant
	ledgers map[string]ledger // by client handle
	ends    endings           // one for each record put, also for those deleted meanwhile
	states  map[string]state
}

type grant struct {
	blob    []byte
	client  string
	expires int64 // unix seconds
	end     int64 // of its quota bucket; unix seconds, never before expires
}

func (g grant) usage() usage { return usage{1, int64(len(g.blob))} }

type state struct {
	version uint64
	blob    []byte
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		incarnation: rand.Text(),
		records:     map[string]grant{},
		ledgers:     map[string]ledger{},
		states:      map[string]state{},
	}
}

// Put writes a new record. ErrExists, ErrQuota or ErrUnavailable; it is never retried inside.
func (m *Memory) Put(ctx context.Context, r Record, q Quota) error {
	if err := ready(ctx, r.check()); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.sweep(now)
	if err := m.put(r, q, now); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}

func (m *Memory) put(r Record, q Quota, now time.Time) error {
	g := grant{bytes.Clone(r.Blob), r.Client, r.ExpiresAt.Unix(), bucketEnd(r.IssuedAt.Unix(), r.ExpiresAt.Unix())}
	if g.expires <= now.Unix() {
		return errExpired
	}
	if old, ok := m.records[r.JTI]; ok && old.expires > now.Unix() {
		return ErrExists
	}
	used := m.ledgers[g.client]
	if !used.total(now).plus(g.usage()).within(q) {
		return ErrQuota
	}
	if used == nil {
		used = ledger{}
		m.ledgers[g.client] = used
	}
	used[g.end] = used[g.end].plus(g.usage())
	m.records[r.JTI] = g
	heap.Push(&m.ends, ending{g.end, r.JTI, g.client})
	return nil
}

// Take reads a record. ErrNotFound, ErrCorrupt or ErrUnavailable.
func (m *Memory) Take(ctx context.Context, jti string) (Taken, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return Taken{}, fmt.Errorf("take: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.records[jti]
	if !ok || g.expires <= time.Now().Unix() {
		return Taken{}, fmt.Errorf("take: %w", ErrNotFound)
	}
	return Taken{Blob: bytes.Clone(g.blob), Seq: m.seq, Incarnation: m.incarnation}, nil
}

// Delete removes a record, advances the shard's seq, and reports whether the record was there.
func (m *Memory) Delete(ctx context.Context, jti string) (bool, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return false, fmt.Errorf("delete: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.sweep(now)
	m.seq++
	g, ok := m.records[jti]
	if !ok {
		return false, nil
	}
	delete(m.records, jti)
	m.ledgers[g.client].giveBack(g.end, g.usage())
	return g.expires > now.Unix(), nil
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
