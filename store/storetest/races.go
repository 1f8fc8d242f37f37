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

func oneDeleteWins(t *testing.T, s Store) {
	r := NewRecord()
	must(t, s.Put(t.Context(), r, store.Quota{}))
	var first atomic.Int64
	race(racers, func(int) {
		there, err := s.Delete(t.Context(), r.JTI)
		if err != nil {
			t.Errorf("delete: %v", err)
		}
		if there {
			first.Add(1)
		}
	})
	if first.Load() != 1 {
		t.Errorf("%d of %d deletes reported that the record was there, want 1", first.Load(), racers)
	}
}

// takeDuringDelete holds the order that caches rely on: an answer with the record has a seq from before its deletion,
// and once Delete has returned nobody gets it.
func takeDuringDelete(t *testing.T, s Store) {
	for range 20 {
		witness, r := recordIn(s, 0), recordIn(s, 0)
		must(t, s.Put(t.Context(), witness, store.Quota{}))
		must(t, s.Put(t.Context(), r, store.Quota{}))
		at, err := s.Take(t.Context(), witness.JTI)
		must(t, err)
		var deleted atomic.Bool
		race(8, func(i int) {
			if i == 0 {
				if there, err := s.Delete(t.Context(), r.JTI); !there || err != nil {
					t.Errorf("delete: got %v, %v, want true", there, err)
				}
				deleted.Store(true)
				return
			}
			for gone := false; !gone; {
				late := deleted.Load()
				got, err := s.Take(t.Context(), r.JTI)
				switch {
				case errors.Is(err, store.ErrNotFound):
					gone = true
				case err != nil:
					t.Errorf("take: %v", err)
					gone = true
				case late || got.Seq != at.Seq || !bytes.Equal(got.Blob, r.Blob):
					t.Errorf("take: got seq %d, %q, begun after the delete: %v; want seq %d, %q", got.Seq, got.Blob, late, at.Seq, r.Blob)
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
