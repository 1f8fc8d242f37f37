package store

import (
	"crypto/rand"
	"errors"
	"maps"
	"slices"
)

// What a Redis suffers, for those who test against it: each method does to a Memory what happens to a Redis that is
// restarted, restored, emptied, filled or demoted.

var errFull = errors.New("out of memory")

// Restart is a restart with all data: the replication id is new, so every shard is closed.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replication = rand.Text()
}

// Clear is FLUSHALL: all data is gone, under the same replication id.
func (m *Memory) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.shards {
		m.shards[i] = newMemoryShard()
	}
	clear(m.states)
	clear(m.registers)
	clear(m.seen)
}

// Fill takes all memory, or gives it back: without memory only what deletes first goes on, and that is what revokes.
func (m *Memory) Fill(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// Demote makes a replica of a master: it speaks for no shard any more.
func (m *Memory) Demote() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replica = true
}

// Promote makes a master of a replica: with its data, and with a new replication id.
func (m *Memory) Promote() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replica, m.replication = false, rand.Text()
}

// Snapshot is what a Memory held at one moment.
type Snapshot struct {
	shards    []*memoryShard
	states    map[string]state
	registers map[string]memoryRegister
	seen      map[string]Seen
}

// Snapshot takes one.
func (m *Memory) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Snapshot{m.shards, m.states, m.registers, m.seen}.clone()
}

// Restore is a restart from a snapshot: old data, under a new replication id.
func (m *Memory) Restore(old Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old = old.clone()
	copy(m.shards, old.shards) // their number stays, and is read without the lock
	m.states, m.registers, m.seen, m.replication = old.states, old.registers, old.seen, rand.Text()
}

func (s Snapshot) clone() Snapshot {
	c := Snapshot{states: maps.Clone(s.states), registers: map[string]memoryRegister{}, seen: maps.Clone(s.seen)}
	for name, r := range s.registers {
		c.registers[name] = r.clone()
	}
	for _, shard := range s.shards {
		c.shards = append(c.shards, shard.clone())
	}
	return c
}

// clone copies what changes; blobs, entries and strings never do.
func (s *memoryShard) clone() *memoryShard {
	c := &memoryShard{
		records: maps.Clone(s.records), ledgers: map[string]ledger{}, ends: slices.Clone(s.ends),
		floors: maps.Clone(s.floors), before: s.before, keys: slices.Clone(s.keys), tombs: maps.Clone(s.tombs), names: maps.Clone(s.names),
		log: slices.Clone(s.log), journals: maps.Clone(s.journals), votes: maps.Clone(s.votes),
	}
	if s.head != nil {
		h := *s.head
		c.head = &h
	}
	for client, l := range s.ledgers {
		c.ledgers[client] = maps.Clone(l)
	}
	return c
}
