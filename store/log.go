package store

import (
	"errors"
	"time"
)

// ErrClosed says that this node may not speak for the shard: it is not a master, or not (yet) the one that the issuers have
// opened since it last started or was promoted. It comes with ErrUnavailable and, like that, says nothing about a record.
var ErrClosed = errors.New("store: shard is closed")

// ErrRevoked says that what is to be put is already revoked: the jti has a tombstone, or a floor of its client, family, subject
// or key is above what the issuer knew when it began (Record.Since). Nothing was written.
var ErrRevoked = errors.New("store: revoked meanwhile")

// Kind says what a revocation names.
type Kind string

// The kinds.
const (
	KindToken   Kind = "token"   // one record, by its jti
	KindFamily  Kind = "family"  // everything derived from one grant, by its family handle; for ever
	KindClient  Kind = "client"  // everything that the client holds now, by its handle
	KindSubject Kind = "subject" // everything of a subject that is alive now, by its handle
	KindBefore  Kind = "before"  // everything issued before a moment: Unix seconds in decimal
	KindKey     Kind = "key"     // everything signed by a key, by its id; for ever
)

// Revocation names what ends. Entry, floor and tombstone are kept until Until.
type Revocation struct {
	Kind Kind
	Name string // as Kind says; at most MaxHandle bytes of [A-Za-z0-9_-]
	// Until is when the last token that this can name has expired anyway; whole seconds. A key's floor stays beyond it.
	Until time.Time
}

// Position is a place in one shard's log: the number of its last entry and that entry's random id. The id is new each
// time a revocation is written, so two histories that happen to be equally long are told apart. The zero Position is
// nobody's: whoever pulls from it is told to flush.
type Position struct {
	Seq uint64
	ID  string
}

// Entry is one revocation in the log of a shard.
type Entry struct {
	Position
	Revocation
}

// Pulled is the answer of one shard to Pull.
type Pulled struct {
	// Err: ErrUnavailable, with ErrClosed if the shard is. Then nothing else is set.
	Err error
	// Flush: the position asked from is not in this shard's history (diverged, trimmed, too far behind). What was kept
	// from this shard is worthless; Keys tells the revoked signing keys anew, and Entries is empty.
	Flush   bool
	Keys    []string
	Entries []Entry  // after the position asked from, in order
	At      Position // where Entries end; with Flush, the head
	// More: the log goes on after At. The answer is no ground for a lease then.
	More        bool
	Lease       time.Duration // how long an answer may be used, from the monotonic time of asking: a minute at most
	Incarnation string        // of the shard, new each time it is opened
}

// Shard is what an issuer sees of a shard, open or not.
type Shard struct {
	Replication string // replication id of the node that answers; new when it starts and when it is promoted
	Open        bool   // the issuers have opened it under that replication id
	Empty       bool   // there is no head: a store that is new, or was emptied
	At          Position
	Incarnation string
	Lease       time.Duration // what edges are told
	Sleep       time.Duration // what revokers wait: the longest lease that an edge may still hold
	LeaseID     string        // new each time that Lease or Sleep is set, and when the shard is opened
	// Journal is the id of the journal enrolled for the issuer that asks ("": none), Done the number of the last
	// entry of that journal that this shard has.
	Journal string
	Done    uint64
	Now     time.Time       // by the clock by which records die
	Votes   map[string]bool // issuer → "all that I know of is in here"; only votes cast under Replication
}

// Author is who writes to the log: an issuer, and its journal.
type Author struct {
	Issuer  string // name of [A-Za-z0-9_-]
	Journal string // random id of the journal
	// Done is the last number of this journal that, as far as the author knows, the shard has. Revoke refuses when it has
	// less: it was restored or emptied meanwhile, and to go on from here would leave out for ever what it has lost. That
	// holds for a question, too, that was sent before and comes late.
	Done uint64
}

// Numbered is a revocation and its number in its author's journal. A shard does each number once, in ascending order.
type Numbered struct {
	Number uint64
	Revocation
}

// Revoked is the answer of Revoke.
type Revoked struct {
	Done     uint64        // the shard has everything of this journal up to here, also if part of the batch failed
	At       Position      // of the shard after the last one
	Sleep    time.Duration // from the moment of the answer, until no edge uses what it knew before
	Found    []bool        // for each of the batch: a record was there (tokens; else false)
	Replicas int           // that have confirmed, at least
}

// Opening asks that a closed shard be opened.
type Opening struct {
	Replication string   // the node must still be this one
	Issuers     []string // the static list
	// Missing lets the shard be opened without those who have not voted. Then, as when somebody votes that it does not
	// know, or the shard is empty, everything that was issued before ends.
	Missing bool
	// Life is how long a token lives at most. An issuer that is not on the list, but has written to the shard within it, may
	// have revoked what matters and is not in here: as if somebody had voted that he does not know. 0: whenever it wrote.
	Life  time.Duration
	Lease time.Duration // for a shard that has none yet
}

// Listed is what an issuer may learn of a record without its reference.
type Listed struct {
	JTI, Client, Family, Subject, KeyID string
	IssuedAt, ExpiresAt                 time.Time
	Bytes                               int  // of the blob
	Revoked                             bool // it is there, and under a floor
	Refresh                             bool // a family of refresh tokens, and no grant
}

// Seen is what an edge last told of itself. For people: nothing relies on it.
type Seen struct {
	Edge string
	At   time.Time // by the edge's clock
	Seq  []uint64  // by shard: the last position that it applied
}
