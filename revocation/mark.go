package revocation

import (
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Names are the names by which the log may speak of one grant, hashed under a key of this process. They are kept with a
// cached grant, so they are small.
type Names struct {
	shard int32
	sums  [5]uint64 // token, family, client, subject, key
}

// Names hashes what the log may say of a grant of that shard.
func (f *Follower) Names(shard int, jti, family, client, subject, kid string) Names {
	panic("contract")
}

// Mark remembers, with a cached answer of the store, up to where the log is known not to name its grant. It is set once,
// by Keep, before anyone else sees it.
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
func (f *Follower) Keep(m *Mark, t store.Taken, n *Names) bool { panic("contract") }

// Holds reports whether what was kept under m may be used now: its shard has a lease, and nothing applied since names it.
// It allocates nothing and takes no lock. now must carry a monotonic reading; its wall clock is compared too, because
// the monotonic one stands still while a machine is suspended.
func (f *Follower) Holds(m *Mark, n *Names, now time.Time) bool { panic("contract") }

// Left is how much longer the lease of a shard runs; 0 or less: it has none.
func (f *Follower) Left(shard int, now time.Time) time.Duration { panic("contract") }
