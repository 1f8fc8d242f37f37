package store_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// shards are the numbers of them that the suite runs on.
var shards = [...]int{1, 4}

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, n := range shards {
		t.Run(fmt.Sprintf("shards=%d", n), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(*testing.T) storetest.Store { return store.NewShardedMemory(n) })
			storetest.RunOpening(t, func(*testing.T) storetest.Fragile { return store.NewShardedMemory(n) })
		})
	}
}

// openMemory is a Memory that can be used.
func openMemory(t testing.TB) *store.Memory {
	m := store.NewMemory()
	storetest.Open(t, m)
	return m
}

// A long-lived process must not keep what has expired, nor the counts of clients that went away.
func TestMemoryForgetsWhatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := openMemory(t)
		put := func(n int, client string, life time.Duration) {
			for range n {
				r := storetest.NewRecord()
				r.Client, r.ExpiresAt = client, r.IssuedAt.Add(life)
				if err := m.Put(t.Context(), r, store.Quota{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		put(1000, "left", 10*time.Minute)
		time.Sleep(11 * time.Minute) // past the last bucket; synctest's clock
		const later = 400
		put(later, "stays", time.Hour)
		records, clients, endings := m.Sizes()
		if records != later || clients != 1 || endings != later {
			t.Errorf("after %d writes: %d records, %d clients, %d endings; want %d, 1, %d", later, records, clients, endings, later, later)
		}
	})
}

func TestMemoryExpiresByTheSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, r := openMemory(t), storetest.NewRecord()
		if err := m.Put(t.Context(), r, store.Quota{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(r.ExpiresAt) - 1)
		if _, err := m.Take(t.Context(), r.JTI); err != nil {
			t.Errorf("a nanosecond before expiry: %v", err)
		}
		time.Sleep(1)
		if _, err := m.Take(t.Context(), r.JTI); err == nil {
			t.Error("at expiry: still there")
		}
	})
}

func BenchmarkTakeMemory(b *testing.B) {
	m, r := openMemory(b), storetest.NewRecord()
	r.Blob = make([]byte, 2500)
	if err := m.Put(b.Context(), r, store.Quota{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Take(b.Context(), r.JTI); err != nil {
			b.Fatal(err)
		}
	}
}
