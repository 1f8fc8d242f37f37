package exchange

import (
	"context"
	"time"
)

// Seal seals without the checks of Deposit: what a writer of the store would do who has our stamp keys.
func Seal(s *Stamper, r Reference, manifest string, tokens map[string]Token, expires time.Time) ([]byte, error) {
	return s.seal(r, r.JTI(), contents{manifest, tokens}, expires)
}

// Open reports whether a record opens.
func Open(s *Stamper, r Reference, blob []byte) error {
	_, _, err := s.open(r, r.JTI(), blob)
	return err
}

// CountedBytes is what the cache believes to hold.
func CountedBytes(x *Exchange) uint64 {
	x.cache.entries.CleanUp()
	return x.cache.entries.WeightedSize()
}

// Ask is a swap that has just found nothing in the cache.
func Ask(x *Exchange, r Reference) error {
	_, err := x.ask(context.Background(), r, x.key(r), Leased)
	return err
}

// HitWithoutLease is a swap that finds its answer in the cache and asks nobody whether it may be used: what a hit costs
// but for the lease.
func HitWithoutLease(x *Exchange, raw string) (Pass, error) {
	now := time.Now()
	r, err := x.stamper.parse(raw, now)
	if err != nil {
		return Pass{}, err
	}
	p := Pass{exchange: x, reference: r, freshness: Leased}
	e := x.cache.get(x.key(r))
	if e == nil || e.grant.expired(now) {
		return Pass{}, refuse(ReasonExpired, nil)
	}
	p.answer = answer{entry: e, kept: true}
	return p, nil
}
