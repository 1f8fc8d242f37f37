package exchange

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"
	"unique"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
	"go.opentelemetry.io/otel/metric"
)

// RecordReader is what an Exchange needs of the store.
type RecordReader interface {
	// Take reads a record. store.ErrNotFound, store.ErrCorrupt, or any other error (unavailable). It blocks for a
	// bounded time, ends early with ctx, and is safe for concurrent use.
	Take(ctx context.Context, jti string) (store.Taken, error)
}

// Config configures an Exchange.
type Config struct {
	Issuer     string             // required; the manifest's exact iss
	Stamper    *Stamper           // required
	Records    RecordReader       // required
	Keys       verifier.KeySource // required
	CacheBytes int64              // default 64 MiB; counts what entries really hold
	// Log is what allows the cache: without a lease from it the store is asked for each request. Required.
	Log    *revocation.Follower
	Logger *slog.Logger         // nil: discards
	Meter  metric.MeterProvider // nil: none. coatcheck_cache_entries, _bytes, _evictions_total
}

// Exchange is the edge's half: the swap. It is safe for concurrent use; a cache hit takes no lock that is shared
// between references.
type Exchange struct {
	issuer  string
	stamper *Stamper
	records RecordReader
	keys    verifier.KeySource
	lease   time.Duration
	log     *slog.Logger

	start   time.Time // origin of clock
	hide    *mac      // makes cache keys, under a key that never leaves this process
	cache   *cache
	absent  absent
	drops   *drops
	flights flights
}

// New requires Issuer, Stamper, Records and Keys.
func New(c Config) (*Exchange, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("exchange: Config.Issuer is empty: want the exact iss of manifests")
	case c.Stamper == nil || c.Records == nil || c.Keys == nil:
		return nil, errors.New("exchange: Config.Stamper, Records and Keys are required")
	case c.CacheBytes < 0:
		return nil, errors.New("exchange: Config.CacheBytes cannot be negative")
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := newCache(c.CacheBytes)
	if err != nil {
		return nil, err
	}
	if err := cache.observe(c.Meter); err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	defer clear(key)
	return &Exchange{
		issuer:  c.Issuer,
		stamper: c.Stamper,
		records: c.Records,
		keys:    c.Keys,
		lease:   500 * time.Millisecond, // contract: of the answer
		log:     c.Logger,
		start:   time.Now(),
		hide:    newMAC(key),
		cache:   cache,
		drops:   newDrops(),
		flights: flights{flying: make(map[string]*flight)},
	}, nil
}

// Source says where a swap's answer came from; a closed set for logs and metrics.
type Source string

// The sources.
const (
	SourceNone     Source = "none" // refused before any look-up
	SourceHit      Source = "hit"
	SourceMiss     Source = "miss"
	SourceNegative Source = "negative" // remembered as unknown
)

// rounds is how often one Swap asks the store at most: an answer can be too old to use when it is there, because the
// first signature had to wait for the issuer's keys, or because it was dropped on its way.
const rounds = 2

var errLate = errors.New("the answer of the store came later than its lease allows")

// Swap parses a presented string and finds the live grant behind it. Errors are *Refusal.
// On a cache hit it allocates nothing. The grant is shared and immutable.
//
// The order is: form, tag and age (Parse), expiry and lease of a cached answer, remembered absence, the store. Expiry
// is that of the signed manifest and is checked every time; a lease that has passed is never stretched, whatever the
// store says.
func (x *Exchange) Swap(ctx context.Context, raw string, _ Freshness) (Pass, Source, error) {
	g, source, err := x.swap(ctx, raw)
	return Pass{grant: g}, source, err
}

func (x *Exchange) swap(ctx context.Context, raw string) (*Grant, Source, error) {
	now := time.Now()
	r, err := x.stamper.parse(raw, now)
	if err != nil {
		return nil, SourceNone, err
	}
	key := cacheKey(x.hide.sum(view(raw)))
	at := now.Sub(x.start)
	if e := x.cache.get(key); e != nil {
		switch {
		case e.grant.expired(now):
			return nil, SourceHit, refuse(ReasonExpired, nil)
		case e.fresh(at):
			return e.grant, SourceHit, nil
		}
	} else if x.absent.holds(key, at) {
		return nil, SourceNegative, refuse(ReasonUnknown, nil)
	}
	for range rounds {
		e, err := x.ask(ctx, r, key)
		switch {
		case err != nil:
			return nil, SourceMiss, err
		case e.grant.expired(time.Now()):
			return nil, SourceMiss, refuse(ReasonExpired, nil)
		case e.fresh(x.clock()):
			return e.grant, SourceMiss, nil
		}
	}
	return nil, SourceMiss, refuse(ReasonUnavailable, errLate)
}

// Drop forgets what is known about a jti: no later Swap uses an answer that the store gave before, be it cached or on
// its way. It is for whoever learns of a revocation before the lease would have ended.
func (x *Exchange) Drop(jti string) { x.drops.mark(jti).Add(1) }

// clock is monotonic: the time since this Exchange was made.
func (x *Exchange) clock() time.Duration { return time.Since(x.start) }

// fill asks the store, verifies what it has not verified before, and keeps the answer. Errors are *Refusal; only a
// definite "no such record" is remembered. A refusal need not remove what is cached: it is past its lease, or fill
// would not have been asked.
func (x *Exchange) fill(ctx context.Context, f *flight, r Reference, jti string, key cacheKey) (*entry, error) {
	asked := x.clock() // the lease runs from here: the record may be gone at any moment after
	taken, err := x.records.Take(ctx, jti)
	switch {
	case errors.Is(err, store.ErrNotFound):
		x.cache.remove(key)
		x.absent.remember(key, asked+absentLife)
		return nil, refuse(ReasonUnknown, nil)
	case errors.Is(err, store.ErrCorrupt):
		return nil, refuse(ReasonTampered, err)
	case err != nil:
		return nil, refuse(ReasonUnavailable, err)
	}
	g, err := x.grant(ctx, r, jti, key, taken.Blob)
	if err != nil {
		return nil, err
	}
	e := &entry{
		grant:       g,
		until:       asked + x.lease,
		drops:       f.drops,
		mark:        f.mark,
		seq:         taken.Seq,
		incarnation: unique.Make(taken.Incarnation),
	}
	x.cache.put(key, e)
	return e, nil
}

// grant returns what a blob stands for: the cached grant if it was read from the very same blob, else the blob is
// opened and its manifest verified.
func (x *Exchange) grant(ctx context.Context, r Reference, jti string, key cacheKey, blob []byte) (*Grant, error) {
	sealed := sha256.Sum256(blob)
	if e := x.cache.get(key); e != nil && e.grant.sealed == sealed {
		return e.grant, nil
	}
	c, expires, err := x.stamper.open(r, jti, blob)
	if err != nil {
		return nil, refuse(ReasonTampered, err)
	}
	m, err := x.verifyManifest(ctx, jti, c, expires, time.Now())
	if err != nil {
		return nil, err
	}
	return newGrant(m, c.tokens, sealed), nil
}
