package revocation

import (
	"slices"

	"github.com/coatcheck/coatcheck/store"
)

// step is what an issuer does next about one shard.
type step string

const (
	// The shard is open.
	work  step = "work"  // the journal is enrolled: bring in what is new
	enrol step = "enrol" // it is not: make it so. Then everything in it that may matter is brought in again
	// The shard is closed.
	replay step = "replay" // the journal is enrolled: bring in what the shard has lost, then vote that it is whole
	gap    step = "gap"    // it is not: vote that what this issuer revoked before may be missing
	wait   step = "wait"   // for the votes of others
	reopen step = "reopen" // all have voted; or the shard is empty, or somebody was missing for too long
	// Neither.
	stop step = "stop" // somebody else writes under this issuer's name
)

// self is what an issuer knows of itself when it looks at a shard.
type self struct {
	issuer, journal string
	issuers         []string
	sent            uint64 // no entry with a higher number has been written by this process, or was in the file when it began
	seen            string // incarnation of the shard in which this process last saw its journal enrolled
	stopped         bool   // the last step was stop
	overdue         bool   // the shard has been closed for so long that the missing are missing
}

// next decides. It is all there is to reopening: a restart, a failover, a store that was restored or emptied, a first
// start and a lost answer differ only in what the shard says.
//
// A journal vouches for a shard only while it is enrolled there: all that its issuer has ever revoked and that may still
// matter is then either in the shard, or in the journal above Done.
func next(s store.Shard, me self) step {
	enrolled, another := s.Journal == me.journal, s.Journal != "" && s.Journal != me.journal
	_, voted := s.Votes[me.issuer]
	switch {
	case enrolled && s.Done > me.sent:
		return stop // somebody works with a copy of the journal, or this is an old copy of it
	case another && (me.stopped || s.Open && s.Incarnation == me.seen):
		return stop // enrolled after this process had been: two issuers have one name
	case s.Open && enrolled:
		return work
	case s.Open:
		return enrol
	case s.Empty:
		return reopen // there is nothing that could be brought in, and nothing that waiting would save
	case !voted && enrolled:
		return replay
	case !voted:
		return gap
	case len(missing(s, me.issuers)) == 0 || me.overdue:
		return reopen
	default:
		return wait
	}
}

// missing are the issuers that have not voted on a closed shard.
func missing(s store.Shard, issuers []string) []string {
	return slices.DeleteFunc(slices.Clone(issuers), func(issuer string) bool {
		_, voted := s.Votes[issuer]
		return voted
	})
}

// gaps are the issuers that have voted that something may be missing.
func gaps(s store.Shard, issuers []string) []string {
	return slices.DeleteFunc(slices.Clone(issuers), func(issuer string) bool {
		whole, voted := s.Votes[issuer]
		return whole || !voted
	})
}
