package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// TestMemoryRestoredIsOldDataClosed: what was revoked since the snapshot is there again, and nobody is let in by it.
func TestMemoryRestoredIsOldDataClosed(t *testing.T) {
	t.Parallel()
	m := openMemory(t)
	enrol(t, m)
	r := put(t, m)
	old := m.Snapshot()
	revoke := func(fence string) {
		t.Helper()
		if _, err := m.Revoke(t.Context(), 0, author, fence, number(1, store.KindToken, r.JTI), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a snapshot is good more than once
		m.Restore(old)
		if _, err := m.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
			t.Errorf("restored: take: got %v, want ErrClosed", err)
		}
		now, err := m.Shard(t.Context(), 0, author.Issuer)
		if err != nil || now.Done != 0 {
			t.Fatalf("restored: got %+v, %v, want nothing of the journal", now, err)
		}
		revoke(now.Replication)
		reopen(t, m)
		if _, err := m.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("brought in and opened: take: got %v, want ErrNotFound", err)
		}
	}
}

// TestMemoryWithoutMemoryRevokes, as Redis does.
func TestMemoryWithoutMemoryRevokes(t *testing.T) {
	t.Parallel()
	m := openMemory(t)
	enrol(t, m)
	r := put(t, m)
	m.Fill(true)
	if err := m.Put(t.Context(), storetest.NewRecord(), store.Quota{}); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) {
		t.Errorf("put: got %v, want ErrUnavailable", err)
	}
	if err := m.SwapState(t.Context(), "ring", 0, []byte("x")); err != nil {
		t.Errorf("swap state: %v", err)
	}
	if got, err := m.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0); err != nil || !got.Found[0] {
		t.Errorf("revoke: got %+v, %v, want it found", got, err)
	}
	m.Fill(false)
	put(t, m)
}

// TestMemoryDemotedIsClosed: and promoted again it has another replication id.
func TestMemoryDemotedIsClosed(t *testing.T) {
	t.Parallel()
	m := openMemory(t)
	enrol(t, m)
	r := put(t, m)
	m.Demote()
	if _, err := m.Shard(t.Context(), 0, author.Issuer); !errors.Is(err, store.ErrClosed) {
		t.Errorf("shard of a replica: got %v, want ErrClosed", err)
	}
	for range 2 {
		if _, err := m.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
			t.Errorf("take: got %v, want ErrClosed", err)
		}
		m.Promote()
	}
	reopen(t, m)
	if _, err := m.Take(t.Context(), r.JTI); err != nil {
		t.Errorf("promoted and opened: take: %v", err)
	}
}

// TestMemoryFlushesWhoIsTooFarBehind: 100,000 entries are read page by page, one more is not.
func TestMemoryFlushesWhoIsTooFarBehind(t *testing.T) {
	t.Parallel()
	m := openMemory(t)
	enrol(t, m)
	from := m.Pull(t.Context(), make([]store.Position, 1), "")[0].At
	n := uint64(0)
	for range 100 {
		var batch []store.Numbered
		for range 1000 {
			n++
			batch = append(batch, number(n, store.KindClient, fmt.Sprint(n%10))...)
		}
		if _, err := m.Revoke(t.Context(), 0, author, "", batch, 0); err != nil {
			t.Fatal(err)
		}
	}
	if p := m.Pull(t.Context(), []store.Position{from}, "")[0]; p.Flush || len(p.Entries) != 1000 || !p.More {
		t.Errorf("100,000 behind: got %d entries, flush %v, more %v; want a page", len(p.Entries), p.Flush, p.More)
	}
	if _, err := m.Revoke(t.Context(), 0, author, "", number(n+1, store.KindClient, "c"), 0); err != nil {
		t.Fatal(err)
	}
	if p := m.Pull(t.Context(), []store.Position{from}, "")[0]; !p.Flush || p.More {
		t.Errorf("100,001 behind: got %d entries, flush %v, more %v; want a flush", len(p.Entries), p.Flush, p.More)
	}
}
