package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// The log's measures. The scripts have the first three as arguments, so that they stand here alone.
const (
	page       = 1000            // entries that one Pull reads from a shard at most
	tooFar     = 100_000         // entries that a position may be behind; catching up would be slower than a fill of the cache
	keptFor    = 5 * time.Second // at least, each entry: so that no edge that pulls has to flush for one that ended at once
	trimSteps  = 4               // entries that one revocation clears away at most: more than the one that it adds
	clockSlack = 5               // seconds; more than twice maxSkew. See Lua's revoke for what it is good for
	maxLease   = time.Minute     // that an edge is told, whatever stands in the head; see Taken
	seenFor    = time.Minute     // after which an edge that has told nothing is not shown
	maxSeen    = 1000            // edges that are shown
	maxBatch   = 1000            // revocations in one round trip
	maxLimit   = 500             // records in one page of a List
	maxSeq     = 1<<53 - 1       // Lua's numbers are exact up to here
)

// shardOf spreads by a hash, because a jti may be any name. It must never change.
func shardOf(jti string, shards int) int {
	return int(crc32.ChecksumIEEE([]byte(jti)) % uint32(shards))
}

// check refuses what is no revocation.
func (r Revocation) check() error {
	if r.Until.Unix() < 0 || r.Until.Year() > 9999 {
		return errors.New("until must be between 1970 and 9999")
	}
	switch r.Kind {
	case KindToken, KindFamily, KindClient, KindSubject, KindKey:
		return checkName(string(r.Kind), r.Name)
	case KindBefore:
		if n, err := strconv.ParseUint(r.Name, 10, 40); err != nil || strconv.FormatUint(n, 10) != r.Name {
			return errors.New("before must be Unix seconds in decimal")
		}
		return nil
	}
	return errors.New("unknown kind of revocation")
}

// beforeUnix reads the name of a KindBefore that check has passed.
func beforeUnix(name string) int64 {
	t, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		panic("store: internal error: the moment was not checked")
	}
	return t
}

func (a Author) check() error {
	return errors.Join(checkName("issuer", a.Issuer), checkName("journal", a.Journal))
}

// checkBatch wants numbers that ascend, and tokens where they are.
func checkBatch(batch []Numbered, shard, shards int) error {
	if len(batch) == 0 || len(batch) > maxBatch {
		return fmt.Errorf("batch has %d revocations, must have 1 to %d", len(batch), maxBatch)
	}
	last := uint64(0)
	for _, n := range batch {
		if n.Number <= last || n.Number > maxSeq {
			return fmt.Errorf("number %d after %d: numbers must ascend from 1", n.Number, last)
		}
		last = n.Number
		if err := n.check(); err != nil {
			return fmt.Errorf("number %d: %w", n.Number, err)
		}
		if home := shardOf(n.Name, shards); n.Kind == KindToken && home != shard {
			return fmt.Errorf("number %d: the token is in shard %d, not in %d", n.Number, home, shard)
		}
	}
	return nil
}

func (o Opening) check() error {
	if len(o.Issuers) == 0 {
		return errors.New("the list of issuers is empty")
	}
	errs := []error{checkName("replication id", o.Replication), checkLease(o.Lease, o.Lease)}
	if o.Life < 0 {
		errs = append(errs, errors.New("a life must not be negative"))
	}
	for _, issuer := range o.Issuers {
		errs = append(errs, checkName("issuer", issuer))
	}
	return errors.Join(errs...)
}

func checkLease(lease, sleep time.Duration) error {
	if lease < time.Millisecond || lease > maxLease || sleep < lease || sleep > time.Hour {
		return errors.New("lease must be a millisecond to a minute, and sleep not below it nor above an hour")
	}
	return nil
}

func checkShard(shard, shards int) error {
	if shard < 0 || shard >= shards {
		return fmt.Errorf("shard %d is not one of %d", shard, shards)
	}
	return nil
}

// checkFence accepts a replication id, or none.
func checkFence(fence string) error {
	if fence == "" {
		return nil
	}
	return checkName("fence", fence)
}

func checkPull(after []Position, shards int, seen string) error {
	if len(after) != shards {
		return fmt.Errorf("%d positions for %d shards", len(after), shards)
	}
	if seen == "" {
		return nil
	}
	return checkName("name of the edge", seen)
}

func checkLimit(limit int) error {
	if limit < 1 || limit > maxLimit {
		return fmt.Errorf("limit must be 1 to %d", maxLimit)
	}
	return nil
}

func seqs(after []Position) []uint64 {
	seqs := make([]uint64, len(after))
	for i, p := range after {
		seqs[i] = p.Seq
	}
	return seqs
}

func errReplicas(got int64, want int) error {
	return fmt.Errorf("%w: %d of %d replicas have confirmed; mend: look after the replicas, or ask for fewer", ErrUnavailable, got, want)
}
