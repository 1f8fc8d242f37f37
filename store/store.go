// Package store keeps what must outlive one process: the records behind references, and the sealed state of
// issuers. It is the only room that speaks to Redis, and it trusts Redis with nothing: it holds blobs that it
// cannot read and never sees a JWT or a reference.
//
// Two implementations keep one contract, which package storetest states as a suite: Redis, for everything that
// runs for real, and Memory, for one process (`coatcheck dev` and tests). Both are safe for concurrent use.
//
// # Promises
//
//   - "Not there" is said only by a store that looked. A store that is away, loading, read-only, full or slow
//     answers ErrUnavailable, and what it holds but did not write so answers ErrCorrupt: neither is ErrNotFound.
//     What is damaged but belongs to all records, the head, is ErrUnavailable: it says nothing about one of them.
//   - Every call ends within a bound (RedisConfig.Timeout) and at once when its context does.
//   - A write is sent once and never again: go-redis' retries are off, because a script whose answer was late has
//     run already. After ErrUnavailable a write may or may not have happened.
//   - A reply that is too large or too deep to be ours is cut before the client library allocates for it.
//   - An answer names what was asked, and the name is compared: answers that arrive out of order are refused.
//   - Names (jti, handles, key ids) are checked against an alphabet before they become part of a key or command.
//   - No error, and no printed configuration, holds a blob or a password.
//
// # Revocation
//
// Records are spread over shards, and each shard has one log of what was revoked, which whoever keeps records follows.
// One node may speak for a shard: a master, under the replication id under which the issuers have opened it. Every script
// makes sure of that from INFO, in the same step in which it reads or writes; else it answers ErrClosed.
//
//   - A restart, a promotion, a restored snapshot and FLUSHALL close every shard. (So does the first replica that a Redis
//     gets: it takes a new replication id.) Nothing but its issuers' journals opens it again.
//   - Once Revoke has answered, Take finds none of what it named, and Put refuses what was minted on the strength of
//     anything older (Record.Since).
//   - Revoke deletes before it writes, so it works on a Redis that is out of memory; so do all of reopening, and SwapState.
//   - Each number of a journal is done once, in ascending order. To ask again is safe, and waits for replicas again.
//   - Once gives a name to one caller, however many ask and wherever; and to nobody who could have had it before the shard
//     was opened, for what was taken then may be lost.
//   - Pull gives every entry after a position, in order and without a gap, each chained to the one before it; or says
//     that the position is none of this history, and then all that was kept is worthless.
//   - Of revocations nothing is kept for longer than what they name can live, but the floors of signing keys.
//
// # Key layout
//
//	<prefix>:{<shard>}:record:<jti>      hash    one grant: its sealed blob and the clear fields of Record
//	<prefix>:{<shard>}:tomb:<jti>        string  empty: this jti is revoked, and nothing is put under it
//	<prefix>:{<shard>}:once:<name>       string  empty: this name is taken
//	<prefix>:{<shard>}:quota:<client>    hash    live grants and bytes of one client handle, by expiry bucket
//	<prefix>:{<shard>}:head              hash    seq, id: the position; incarnation, opened, since, began; lease and sleep in ms, lease_id
//	<prefix>:{<shard>}:floors            hash    all, before, client:…, family:…, subject:…, key:…; and keys, their list
//	<prefix>:{<shard>}:log               stream  <seq>-0: one entry "id of the one before, id, kind, name, until"
//	<prefix>:{<shard>}:journals          hash    issuer: "<journal id> <last number done> <unix s of that>"
//	<prefix>:{<shard>}:votes             hash    issuer: "<replication id> whole|gap", while the shard is closed
//	<prefix>:{0}:seen                    hash    edge: "<unix ms> <seq>,<seq>…", for people
//	<prefix>:{0}:state:<name>            hash    version and blob of one piece of sealed state
//	<prefix>:{0}:register:<name>:head    hash    version and blob of the head of a sealed register
//	<prefix>:{0}:register:<name>:entries hash    key: "<version> <blob>"
//	<prefix>:{0}:register:<name>:index   zset    key, by version
//
// The braces are Redis Cluster's hash tag: whatever one script touches lives in one slot.
// A record has three fields (of a family of refresh tokens five: turn and answer, see lua/family.lua): v, the record version, 1; blob; and clear, the text "born iat exp kid client family
// subject", where born is the shard's seq when it was put. One field for all seven, because each field of a hash this
// large costs Redis some 60 bytes more. A floor is the seq of the revocation that raised it: what was born before it is
// dead; only before is a time of issue. Records, tombs and quotas die by Redis' own clock; the others stay.
//
// # Permissions
//
// Everything is done by the scripts in lua/ and, beside them, by INFO and TIME (Check), WAIT (Revoke) and one HSET (Pull,
// of seen; where it is refused, the edge is not shown and all else works). What an ACL user needs, with the default
// prefix; the edge only reads, the issuer does all:
//
//	edge:   %R~coatcheck:* resetchannels +hello +select +ping +info +time +evalsha_ro +eval_ro +exists +hget +hmget +hstrlen
//	        +xrange (%W~coatcheck:{0}:seen +hset)
//	issuer: ~coatcheck:* resetchannels, all of the edge's, +evalsha +eval +wait +hgetall +hset +hdel +del +set +expireat
//	        +scan +xadd +xdel +zadd +zrange
package store

import (
	"errors"
	"time"
)

// Errors that every implementation returns, wrapped with what was attempted. Any other error is a fault of the
// caller (a name outside the alphabet, a blob over its cap, an expiry in the past): nothing was written.
var (
	// ErrNotFound: there is no record under that jti, or it has expired.
	ErrNotFound = errors.New("store: no such record")
	// ErrExists: a record under that jti is already there; nothing was written.
	ErrExists = errors.New("store: record already exists")
	// ErrQuota: the client has reached its number of live grants or bytes; nothing was written.
	ErrQuota = errors.New("store: client is at its quota")
	// ErrConflict: the sealed state has another version than the caller believed; nothing was written.
	ErrConflict = errors.New("store: state has changed meanwhile")
	// ErrCorrupt: what the store holds as this record, quota or state is not what this version writes.
	ErrCorrupt = errors.New("store: value is corrupt")
	// ErrUnavailable: the store cannot answer now (away, loading, read-only, out of memory, too slow).
	// It says nothing about the record: a caller must never read it as "not found".
	ErrUnavailable = errors.New("store: unavailable")
)

// Limits on what a record may be. They bound what one swap can read and what one client can store.
const (
	MaxBlob   = 32 << 10 // bytes of a sealed blob
	MaxHandle = 64       // bytes of a handle, a key id or a jti; alphabet [A-Za-z0-9_-]
	MaxState  = 1 << 20  // bytes of one piece of sealed state
)

// Record is one grant as the store sees it: a blob that it cannot open, and the clear fields by which
// revocation and administration will name it. Handles are opaque keyed hashes; none of these fields is secret.
// Every field is required.
type Record struct {
	JTI       string    // the key; at most MaxHandle bytes of [A-Za-z0-9_-]
	Blob      []byte    // sealed by package exchange; at most MaxBlob bytes
	IssuedAt  time.Time // whole seconds; fractions are cut
	ExpiresAt time.Time // whole seconds; fractions are cut. The record is gone from then on
	KeyID     string    // signing key of what is inside; NoKey: nothing inside is signed
	Client    string    // opaque handle; quotas are counted by it
	Family    string    // opaque handle shared by everything derived from one grant
	Subject   string    // opaque handle
	// Since is the position of the record's shard that the issuer knew before it looked at anything that this grant
	// rests on, and Since.Incarnation that shard's: what was revoked after it refuses the record (ErrRevoked). One of
	// another incarnation counts as the beginning, so it can refuse too much and never too little.
	Since Since
	// First is the name of the first token of a family, for the record of a family of refresh tokens; empty for a grant, the
	// only field that may be.
	First string
}

// NoKey is the KeyID of a record that no revoked key ends.
const NoKey = "-"

// Since is a position without its id, and the incarnation that it belongs to.
type Since struct {
	Seq         uint64
	Incarnation string
}

// Taken is the answer of Take.
type Taken struct {
	Blob []byte // the caller's own copy
	// Seq and Incarnation are the shard's position when the answer was given. A cache keeps an answer only
	// if it has not applied a later position of the same incarnation meanwhile.
	Seq uint64
	// Incarnation is a random name that the shard gets each time it is opened. A store that was emptied, restored or
	// promoted gets another, so that its seq is not taken for one of before.
	Incarnation string
	Shard       int
	// Lease is how long this answer may be used, from the monotonic time of asking: a minute at most.
	Lease time.Duration
}
