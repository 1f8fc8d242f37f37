package exchange

import (
	"hash/maphash"
	"sync/atomic"
)

// drops are how a revocation reaches the cache and the flights without finding either: a table of counters, one of
// which belongs to each jti. Whoever asks the store reads the counter first, and its answer counts as fresh only
// while the counter stands.
//
// A fill and a revocation that cross:
//
//  1. flight F reads the counter of its jti, 7, and asks the store
//  2. the store answers F with the record; the answer travels
//  3. the record is deleted; Drop advances the counter to 8
//  4. F's answer arrives and enters the cache with 7
//  5. the next Swap finds the entry, 7 is not 8, and asks the store anew: unknown
//
// If 3 comes before 1, F reads 8, but then it asked after the deletion and gets no record. A swap that comes between
// 3 and 4 does not join F either, for the same reason. Two jtis on one counter cost each other one question to the
// store, never a wrong answer.
type drops struct {
	seed   maphash.Seed
	counts [1 << 16]atomic.Uint64
}

func newDrops() *drops { return &drops{seed: maphash.MakeSeed()} }

// mark is the counter of a jti.
func (d *drops) mark(jti string) *atomic.Uint64 {
	return &d.counts[maphash.String(d.seed, jti)%uint64(len(d.counts))]
}
