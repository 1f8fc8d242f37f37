package simulation_test

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// dice decides everything by chance. Goroutines that are runnable at the same instant run in any order, so there is no one
// stream of random numbers: each throw is made from the seed, who throws, and when. Delays are random to the nanosecond, so
// two things seldom happen at one instant, and a seed always tells the same story.
type dice struct {
	seed  uint64
	begin time.Time
}

func newDice(seed uint64) *dice { return &dice{seed, time.Now()} }

// of is the throw of somebody, now: a source of numbers for it alone.
func (d *dice) of(who string) *rand.Rand { return d.nth(who, uint64(time.Since(d.begin))) }

// nth is the nth throw of somebody who counts.
func (d *dice) nth(who string, n uint64) *rand.Rand {
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
