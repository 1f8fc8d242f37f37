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
