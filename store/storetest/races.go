package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

const racers = 50

// race starts all at once and waits for all.
func race(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func onePutWins(t *testing.T, s Store) {
	shared := NewRecord()
	errs := make([]error, racers)
	race(racers, func(i int) {
		r := shared
		r.Blob = fmt.Appendf(nil, "blob %d", i)
		errs[i] = s.Put(t.Context(), r, store.Quota{})
	})
	got, err := s.Take(t.Context(), shared.JTI)
	must(t, err)
	for i, err := range errs {
		if won := string(got.Blob) == fmt.Sprintf("blob %d", i); won && err != nil {
			t.Errorf("put %d is stored, but reported %v", i, err)
		} else if !won {
			wantErr(t, fmt.Sprintf("put %d, which is not stored", i), err, store.ErrExists)
		}
	}
}

func oneRevocationWins(t *testing.T, h *hand) {
	r, before := h.put(0), h.shard(0)
	batch := h.next(naming(store.KindToken, r.JTI))
	var first atomic.Int64
	race(racers, func(int) {
		got, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0)
		if err != nil || got.At.Seq != before.At.Seq+1 {
			t.Errorf("revoke: got %+v, %v, want it one after %d", got, err, before.At.Seq)
		}
		if got.Found[0] {
			first.Add(1)
		}
	})
	if first.Load() != 1 {
		t.Errorf("%d of %d revocations found the record, want 1", first.Load(), racers)
	}
}

// takeDuringRevocation holds the order that caches rely on: an answer with the record has a seq from before its
// revocation, and once Revoke has returned nobody gets it.
func takeDuringRevocation(t *testing.T, h *hand) {
	for range 20 {
		r, before := h.put(0), h.shard(0)
		batch := h.next(naming(store.KindToken, r.JTI))
		var revoked atomic.Bool
		race(8, func(i int) {
			if i == 0 {
				if got, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0); err != nil || !got.Found[0] {
					t.Errorf("revoke: got %+v, %v, want the record found", got, err)
				}
				revoked.Store(true)
				return
			}
			for gone := false; !gone; {
				late := revoked.Load()
				got, err := h.Take(t.Context(), r.JTI)
				switch {
				case errors.Is(err, store.ErrNotFound):
					gone = true
				case err != nil:
					t.Errorf("take: %v", err)
					gone = true
				case late || got.Seq != before.At.Seq || !bytes.Equal(got.Blob, r.Blob):
					t.Errorf("take: got seq %d, %q, begun after the revocation: %v; want seq %d, %q", got.Seq, got.Blob, late, before.At.Seq, r.Blob)
					gone = true
				}
			}
		})
	}
}

// stateRaces: each racer swaps until it has won once.
func stateRaces(t *testing.T, s Store) {
	won := make([]uint64, racers)
	race(racers, func(i int) {
		for won[i] == 0 {
			version, _, err := s.State(t.Context(), "raced")
			if err == nil {
				err = s.SwapState(t.Context(), "raced", version, fmt.Appendf(nil, "by %d", i))
			}
			if err == nil {
				won[i] = version + 1
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("racer %d: %v", i, err)
				return
			}
		}
	})
	byVersion := map[uint64]int{}
	for i, v := range won {
		if other, twice := byVersion[v]; twice {
			t.Errorf("version %d was won by racers %d and %d", v, other, i)
		}
		byVersion[v] = i
	}
	version, blob, err := s.State(t.Context(), "raced")
	must(t, err)
	if want := fmt.Sprintf("by %d", byVersion[racers]); version != racers || string(blob) != want {
		t.Errorf("got version %d, %q, want %d, %q", version, blob, racers, want)
	}
}
