package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// memoryRegister is one register.
type memoryRegister struct {
	version uint64
	blob    []byte
	entries map[string]Sealed // their blobs are never written to
}

func (r memoryRegister) clone() memoryRegister {
	r.entries = maps.Clone(r.entries)
	return r
}

// Register reads a register's head, and its entries from after a version on, a page of them.
func (m *Memory) Register(ctx context.Context, name string, after uint64) (Register, error) {
	if err := ready(ctx, checkName("register", name)); err != nil {
		return Register{}, fmt.Errorf("register: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.registers[name]
	answer := Register{Version: r.version, Blob: bytes.Clone(r.blob)}
	for _, e := range r.entries {
		if e.Version > after {
			answer.Entries = append(answer.Entries, e)
		}
	}
	slices.SortFunc(answer.Entries, func(a, b Sealed) int { return cmp.Compare(a.Version, b.Version) })
	size := 0
	for i, e := range answer.Entries {
		if i == registerPage || size > registerBytes {
			answer.Entries, answer.More = answer.Entries[:i], true
			break
		}
		size += len(e.Blob)
		answer.Entries[i].Blob = bytes.Clone(e.Blob)
	}
	return answer, nil
}

// SwapRegister writes if the head still has the old version; else ErrConflict.
func (m *Memory) SwapRegister(ctx context.Context, name string, old uint64, w RegisterWrite) error {
	if err := ready(ctx, checkName("register", name), w.check(old)); err != nil {
		return fmt.Errorf("swap_register: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.registers[name]
	switch {
	case r.version != old:
		return fmt.Errorf("swap_register: %w", ErrConflict)
	case m.replica:
		return fmt.Errorf("swap_register: %w: a replica", ErrUnavailable)
	case w.Whole || r.entries == nil:
		r.entries = map[string]Sealed{}
	}
	r.version, r.blob = w.Version, bytes.Clone(w.Blob)
	for _, e := range w.Entries {
		r.entries[e.Key] = Sealed{e.Key, e.Version, bytes.Clone(e.Blob)}
	}
	m.registers[name] = r
	return nil
}
