// Package simulation_test runs the shipped follower, revoker, journal and exchange on the shipped memory store, in a world
// in which the network, the clocks, the faults and all chance are fakes that one number decides. What happens is written
// down beside it, and compared with the promise: once a revocation has been answered, no edge lets through what it names.
//
//	go test ./revocation/simulation -seeds 100000     a campaign
//	go test ./revocation/simulation -seed 4711        one world again, with its story
package simulation_test

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var (
	seeds = flag.Uint64("seeds", worlds, "how many worlds, beginning with -from")
	from  = flag.Uint64("from", 1, "the first seed")
	only  = flag.Uint64("seed", 0, "this seed only")
)

// tooMany faulty worlds end a campaign: the rest would say the same.
const tooMany = 3

func TestSimulation(t *testing.T) {
	t.Parallel()
	first, last := *from, *from+*seeds-1
	if *only > 0 {
		first, last = *only, *only
	}
	m := newMint()
	var next, faulty atomic.Uint64
	next.Store(first)
	var mu sync.Mutex
	var total counts
	t.Run("worlds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed <= last && faulty.Load() < tooMany; seed = next.Add(1) - 1 {
					h, faults := live(t, seed, m)
					mu.Lock()
					total.add(h)
					mu.Unlock()
					if len(faults) > 0 {
						faulty.Add(1)
						report(t, seed, h, faults)
					}
				}
			})
		}
	})
	t.Logf("%+v", total)
	if *only == 0 {
		total.enough(t)
	}
}

// enough fails a campaign that has looked at too little to say anything.
func (c *counts) enough(t *testing.T) {
	t.Helper()
	for what, got := range map[string]struct{ got, want int }{
		"revocations answered in each world":               {c.answered, 3 * c.seeds},
		"tries after the answer, for each answer":          {c.after, 5 * c.answered},
		"decisions from the cache in each world":           {c.hits, 20 * c.seeds},
		"decisions in the last lease before an answer":     {c.between, c.seeds / 4},
		"decisions to let something through in each world": {c.let, 50 * c.seeds},
	} {
		if got.got < got.want {
			t.Errorf("too few %s: %d in all, want %d or more", what, got.got, got.want)
		}
	}
}

// TestOneSeedTellsOneStory: else no fault could be looked at again. All that reaches the store and all that happens to it
// is the same. A few decisions may differ: an edge remembers what is absent in places that it chooses under a key of its
// own process, and which of them collide no seed decides.
func TestOneSeedTellsOneStory(t *testing.T) {
	t.Parallel()
	m := newMint()
	for seed := uint64(1); seed <= 8; seed++ {
		first, _ := live(t, seed, m)
		second, _ := live(t, seed, m)
		if diff := cmp.Diff(first.lines(), second.lines()); diff != "" {
			t.Errorf("seed %d gave two histories (-first +second):\n%s", seed, diff)
		}
		same, of := first.agrees(second), len(first.decisions)
		if same < of*9/10 {
			t.Errorf("seed %d: %d of %d decisions are the same in two runs, want 90 %% at least", seed, same, of)
		}
	}
}

// live lets one world happen.
func live(t *testing.T, seed uint64, m *mint) (h *history, faults []fault) {
	t.Helper()
	dir, remove, err := tempDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, m, dir)
		faults = w.run()
		h = w.history
	})
	return h, faults
}

// report tells the first faults of a world, and the story of the first token.
func report(t *testing.T, seed uint64, h *history, faults []fault) {
	t.Helper()
	for _, f := range faults[:min(len(faults), 5)] {
		t.Errorf("seed %d: %s", seed, f.text)
	}
	for _, f := range faults {
		if f.token != nil {
			t.Errorf("again: go test -tags nomsgpack ./revocation/simulation -seed %d\nthe story of token-%d:\n%s", seed, f.token.number, h.about(f.token))
			return
		}
	}
}
