package exchange

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

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
	Origins    bool               // keep Grant.Origin: for issuers, who alone can open it
	// Log is what allows the cache: without a lease from it the store is asked for each request. Required.
	Log    *revocation.Follower
	Logger *slog.Logger         // nil: discards
	Meter  metric.MeterProvider // nil: none. coatcheck_cache_entries, _bytes, _evictions_total
}

// Exchange is the edge's half: the swap. It is safe for concurrent use; a cache hit takes no lock that is shared
// between references.
type Exchange struct {
	issuer      string
	stamper     *Stamper
	records     RecordReader
	keys        verifier.KeySource
	revocations *revocation.Follower
	log         *slog.Logger
	origins     bool

	start   time.Time // origin of the times in absent
	hide    *mac      // makes cache keys, under a key that never leaves this process
	cache   *cache
	absent  absent
	flights flights
}

// New requires Issuer, Stamper, Records, Keys and Log.
func New(c Config) (*Exchange, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("exchange: Config.Issuer is empty: want the exact iss of manifests")
	case c.Stamper == nil || c.Records == nil || c.Keys == nil || c.Log == nil:
		return nil, errors.New("exchange: Config.Stamper, Records, Keys and Log are required")
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
		issuer:      c.Issuer,
		stamper:     c.Stamper,
		records:     c.Records,
		keys:        c.Keys,
		revocations: c.Log,
		log:         c.Logger,
		origins:     c.Origins,
		start:       time.Now(),
		hide:        newMAC(key),
		cache:       cache,
		flights:     flights{flying: make(map[string]*flight)},
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

// Swap parses a presented string and finds the live grant behind it. Errors are *Refusal.
// On a cache hit it allocates nothing. The grant is shared and immutable; the Pass is the caller's own.
//
// The order is: form, tag and age (Parse), what the cache holds, remembered absence, the store. Expiry is that of the
// signed manifest and is checked every time; the cache answers only under a lease of the revocation log, and only what
// nothing in that log has named since. Strict passes the cache and remembered absence by.
func (x *Exchange) Swap(ctx context.Context, raw string, f Freshness) (Pass, Source, error) {
	now := time.Now()
	r, err := x.stamper.parse(raw, now)
	if err != nil {
		return Pass{}, SourceNone, err
	}
	p := Pass{exchange: x, reference: r, freshness: f}
	key := x.key(r)
	source := SourceMiss
	if f == Leased {
		source, err = p.remembered(key, now)
	}
	if source == SourceMiss {
		_, err = p.settle(ctx, key)
	}
	if err != nil {
		return Pass{}, source, err
	}
	return p, source, nil
}

// key is what the cache calls a reference.
func (x *Exchange) key(r Reference) cacheKey { return x.hide.sum(view(r.text.reveal())) }
