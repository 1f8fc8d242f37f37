package store

import "time"

// Quota bounds what one client may hold at a time. A zero field means no bound; a negative one lets nothing in.
//
// A grant counts until it is revoked by its jti, or until the end of its expiry bucket: at most a 16th of its life after its
// expiry. Buckets keep the count of a client with any number of grants in some twenty small fields: nothing is kept
// per grant, and nothing has to be told when a grant expires.
type Quota struct {
	Grants int64
	Bytes  int64 // of sealed blobs
}

// share is a shard's part of what the client may hold in all. Names spread evenly, so a client is refused a little
// before it has all of its quota, and never above it by more than one grant a shard.
func (q Quota) share(shards int) Quota {
	n := int64(shards)
	if n == 1 {
		return q
	}
	part := func(bound int64) int64 {
		if bound <= 0 {
			return bound
		}
		return (bound-1)/n + 1
	}
	return Quota{part(q.Grants), part(q.Bytes)}
}

// bucketEnd is the unix second at which a grant stops counting; lua/bucket.lua computes the same.
// Widths are powers of two so that the ends of long and short lives fall together: grants of one life share at
// most 33 buckets, and mixed lives add some 17 for each doubling.
func bucketEnd(issued, expires int64) int64 {
	width := int64(1)
	for width*32 < expires-issued {
		width *= 2
	}
	return (expires + width - 1) / width * width
}

// usage is what one client holds in one bucket, or in all of them.
type usage struct{ grants, bytes int64 }

func (u usage) plus(v usage) usage { return usage{u.grants + v.grants, u.bytes + v.bytes} }

func (u usage) within(q Quota) bool {
	return (q.Grants == 0 || u.grants <= q.Grants) && (q.Bytes == 0 || u.bytes <= q.Bytes)
}

// ledger is the usage of one client by bucket end, in unix seconds.
type ledger map[int64]usage

// total drops the buckets that have ended and adds up the others.
func (l ledger) total(now time.Time) usage {
	var sum usage
	for end, u := range l {
		if end <= now.Unix() {
			delete(l, end)
			continue
		}
		sum = sum.plus(u)
	}
	return sum
}

// giveBack gives the bytes of a revoked grant back, not its place: that ends with its bucket. See Lua's quota.
func (l ledger) giveBack(end, bytes int64) {
	if u, ok := l[end]; ok {
		l[end] = usage{u.grants, u.bytes - bytes}
	}
}
