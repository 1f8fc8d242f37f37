package revocation

import (
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Mark remembers, with a cached answer of the store, up to where the log is known not to name its grant. It is set once,
// by Keep, before anyone else sees it; one that was never set never holds.
type Mark struct {
	counts  uint64        // of everything that may name the grant, when the answer was kept
	checked atomic.Uint64 // how far the follower had applied the log when counts were last compared
}

// Keep reports whether an answer of the store may be kept, and sets its mark: only if no later entry has been applied
// meanwhile, in the same incarnation. An answer that may not be kept is good for the requests that waited for it.
//
// A fill and a revocation that cross:
//
//  1. the store answers a fill with the record, at seq 7; the answer travels
//  2. the record is revoked, at seq 8
//  3. the follower pulls and applies 8
//  4. the answer arrives: 7 is before 8, so it is not kept
//
// Had 4 come before 3, the answer would be kept, and dropped by 3.
func (f *Follower) Keep(m *Mark, t store.Taken, n *Names) bool {
	s := f.shards[n.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.keep(s, m, t, n)
}

// keep is called with s.mu held: no entry is being applied.
func (f *Follower) keep(s *followed, m *Mark, t store.Taken, n *Names) bool {
	if s.incarnation == "" || t.Incarnation != s.incarnation || t.Seq < s.at.Seq || t.Shard != s.number {
		return false
	}
	m.counts = f.count(s, n)
	m.checked.Store(s.applied.Load())
	return true
}

// Holds reports whether what was kept under m may be used now: its shard has a lease, and nothing applied since names it.
// It allocates nothing and takes no lock. now must carry a monotonic reading; its wall clock is compared too, because
// the monotonic one stands still while a machine is suspended.
//
// The order matters, against that of apply: whoever sees a lease sees applied as it was when that lease began, or later,
// and whoever sees applied sees the counts that go with it, or later ones.
func (f *Follower) Holds(m *Mark, n *Names, now time.Time) bool {
	s := f.shards[n.shard]
	if s.lease.Load().left(f.moment(now)) <= 0 {
		return false
	}
	applied := s.applied.Load()
	if m.checked.Load() == applied {
		return true
	}
	if f.count(s, n) != m.counts {
		return false
	}
	m.checked.Store(applied) // a slower one may put an older value back; then the counts are compared once more
	return true
}

// Left is how much longer the lease of a shard runs; 0 or less: it has none.
func (f *Follower) Left(shard int, now time.Time) time.Duration {
	return f.shards[shard].lease.Load().left(f.moment(now))
}

// count is never 0, so that a mark that was not set does not hold.
func (f *Follower) count(s *followed, n *Names) uint64 { return s.gaps.Load() + f.tally.of(n) }
