// Package revocation makes a revocation take hold everywhere within a bound, and knows when it has.
//
// Two halves meet in the log that package store keeps, one log for each shard. The Revoker, in an issuer, writes: its own
// fsynced Journal first, then the shard, then it waits until no edge can still be using what it knew before, and only then
// says that it is done. The Follower, in an edge, reads: it pulls the log four times a lease, and what an edge keeps may be
// used only while a lease holds, which runs from the monotonic moment at which the last pull was sent.
//
// Nothing here is told to an edge, and no edge is asked: a message that is lost ends a lease, never a revocation.
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
