package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
	"unsafe"

	"github.com/coatcheck/coatcheck/store"
)

// answer is what one question to the store gave, as one request holds it.
type answer struct {
	entry *entry
	// until is the end of the answer's own lease, on both clocks; zero for one that the cache gave.
	until time.Time
	kept  bool // the entry has a mark
}

// fill asks the store, verifies what it has not verified before, and keeps the answer if it may. Errors are *Refusal;
// only a definite "no such record" is remembered.
//
// The order is:
//
//  1. read the time, ask the store: the record may be gone at any moment after, so the lease runs from before
//  2. open and verify, which may have to wait for keys
//  3. set the mark: if the log has gone on since the store answered, the answer is not kept
//  4. ask for the signing key: its revocation was applied before 3, and is seen here, or is applied after, and breaks the
//     mark. The store's floor for that key is not relied on: who writes the store can lift it
func (x *Exchange) fill(ctx context.Context, r Reference, jti string, key cacheKey) (answer, error) {
	asked := time.Now()
	taken, err := x.records.Take(ctx, jti)
	if err != nil {
		return answer{}, x.refuseTake(err, key, asked)
	}
	g, err := x.grant(ctx, r, jti, key, taken)
	if err != nil {
		return answer{}, err
	}
	e := &entry{grant: g}
	kept := x.revocations.Keep(&e.mark, taken, &g.names)
	if x.revocations.KeyRevoked(g.keyID.Value()) {
		return answer{}, refuse(ReasonKeyRevoked, nil)
	}
	if kept {
		x.cache.put(key, e)
	}
	return answer{entry: e, until: asked.Add(taken.Lease), kept: kept}, nil
}

// refuseTake tells "there is none" from "cannot tell".
func (x *Exchange) refuseTake(err error, key cacheKey, asked time.Time) *Refusal {
	switch {
	case errors.Is(err, store.ErrNotFound):
		x.cache.remove(key)
		x.absent.remember(key, asked.Sub(x.start)+absentLife)
		return refuse(ReasonUnknown, nil)
	case errors.Is(err, store.ErrCorrupt):
		return refuse(ReasonTampered, err)
	case errors.Is(err, store.ErrClosed):
		return refuse(ReasonClosed, err)
	}
	return refuse(ReasonUnavailable, err)
}

// grant returns what a blob stands for: the cached grant if it was read from the very same blob, else the blob is
// opened and its manifest verified. The names by which a revocation finds the grant are those of the signed manifest:
// the record's clear fields are whatever the store says.
func (x *Exchange) grant(ctx context.Context, r Reference, jti string, key cacheKey, taken store.Taken) (*Grant, error) {
	sealed := sha256.Sum256(taken.Blob)
	if e := x.cache.get(key); e != nil && e.grant.sealed == sealed {
		return e.grant, nil
	}
	c, expires, err := x.stamper.open(r, jti, taken.Blob)
	if err != nil {
		return nil, refuse(ReasonTampered, err)
	}
	m, err := x.verifyManifest(ctx, jti, c, expires, time.Now())
	if err != nil {
		return nil, err
	}
	g := newGrant(m, c.tokens, sealed)
	if x.origins {
		g.origin, g.weight = &m.Origin, g.weight+uint32(unsafe.Sizeof(m.Origin))+uint32(len(m.Origin))
	}
	g.shard = int32(taken.Shard)
	g.names = x.revocations.Names(taken.Shard, m.JTI, m.Handles.Family, m.Handles.Client, m.Handles.Subject, m.keyID)
	return g, nil
}

// left is the time from now to end, by the clock that says less: the monotonic one stands still while a machine is
// suspended, and the other may be set back.
func left(end, now time.Time) time.Duration {
	return min(end.Sub(now), end.Round(0).Sub(now))
}
