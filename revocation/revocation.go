// Package revocation makes a revocation take hold everywhere within a bound, and knows when it has.
//
// Two halves meet in the log that package store keeps, one log for each shard. The Revoker, in an issuer, writes: its own
// fsynced Journal first, then the shard, then it waits until no edge can still be using what it knew before, and only then
// says that it is done. The Follower, in an edge, reads: it pulls the log four times a lease, and what an edge keeps may be
// used only while a lease holds, which runs from the monotonic moment at which the last pull was sent.
//
// Nothing here is told to an edge, and no edge is asked: a message that is lost ends a lease, never a revocation.
//
// # What the Follower promises
//
//   - A Mark holds only while nothing that was in the log when the lease's pull was sent names its grant. So once every
//     lease has run out that was begun before a revocation, no edge uses what it kept of the grant.
//   - An answer of the store that crossed a revocation on its way is never kept (Keep).
//   - Errors are on the side of refusal: a grant that shares a place in a table with a revoked one is asked for again;
//     an answer that does not follow from the last one forgets everything that was kept from its shard.
//   - A Watch ends when its grant is named, when it expires, and a grace after the last moment up to which the grant is
//     known to be alive, whatever the reason that nothing newer is known.
//   - Memory is constant: 8 MiB of counters, and nothing for any revocation, however many are read; but a name for each
//     revoked signing key, and something for each open Watch.
//
// # What it rests on
//
//   - The store answers from the one primary of a shard, and says in each answer what it has done before it.
//   - The rates of two hosts' clocks differ by less than rateError. Wall clocks need not agree; a wall clock that is
//     stepped ends leases and does no other harm. A process that is paused uses nothing when it goes on, and neither
//     does a machine that was suspended, unless its wall clock was set back by as much as it slept.
//   - What is decided is bounded, not what follows from it: who asks Holds, and is then paused, must ask again.
package revocation

import (
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// What the other rooms say to this one, in the words of package store.
type (
	// Revocation names what ends.
	Revocation = store.Revocation
	// Kind says what a Revocation names.
	Kind = store.Kind
	// Listed is what an issuer may learn of a record without its reference.
	Listed = store.Listed
	// Seen is what an edge last told of itself.
	Seen = store.Seen
)

// The kinds.
const (
	Token   = store.KindToken
	Family  = store.KindFamily
	Client  = store.KindClient
	Subject = store.KindSubject
	Before  = store.KindBefore
	Key     = store.KindKey
)

// Clocks are trusted this far: the rates of two hosts' clocks differ by less than rateError (1/1000; NTP slews half of
// that at most), and a process notices within slack that a time has come.
const (
	rateError = 1000 // a lease of d on one host ends within d + d/rateError on another
	slack     = 10 * time.Millisecond
)
