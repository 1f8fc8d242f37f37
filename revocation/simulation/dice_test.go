package simulation_test

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// dice decides everything by chance. Goroutines that are runnable at the same instant run in any order, so there is no one
// stream of random numbers: each throw is made from the seed, who throws, and how often he has thrown. Delays are random
// to the nanosecond, so two things seldom happen at one instant, and a seed always tells the same story.
type dice struct {
	seed uint64

	mu     sync.Mutex
	thrown map[string]uint64 // guarded by mu; by who throws
}

func newDice(seed uint64) *dice { return &dice{seed: seed, thrown: map[string]uint64{}} }

// of is the next throw of one who throws: a source of numbers for it alone.
func (d *dice) of(who string) *rand.Rand {
	d.mu.Lock()
	n := d.thrown[who]
	d.thrown[who]++
	d.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(who))
	h.Write(binary.BigEndian.AppendUint64(nil, n))
	return rand.New(rand.NewPCG(d.seed, h.Sum64()))
}

// between is a duration of at least low and less than high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// chance is true so often.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }
