package exchange

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrKeyMissing is why a list of stamp keys is not taken: it lacks a key that is in use.
var ErrKeyMissing = errors.New("exchange: a stamp key in use is missing")

// stampKeys is the list in use, swapped whole; readers take neither lock nor memory. All forms of a Stamper share it.
type stampKeys struct{ now atomic.Pointer[[]*stampKey] }

func (s *stampKeys) all() []*stampKey { return *s.now.Load() }

// Replace puts another list in the place of the one in use; the first key stamps from then on. Every key in use must be
// among them, in whatever place, else ErrKeyMissing: references that it stamped may be alive, and a file that somebody
// is still writing must not end them. A key leaves with the process.
//
// It is for one caller at a time; everything else may go on meanwhile.
func (s *Stamper) Replace(keys ...[]byte) error {
	if len(keys) == 0 {
		return errors.New("exchange: no stamp key: want at least one")
	}
	all, err := newStampKeys(keys)
	if err != nil {
		return err
	}
	for _, k := range s.keys.all() {
		if keyOf(all, k.id) == nil {
			return fmt.Errorf("%w: %x; it stays in use until this process ends", ErrKeyMissing, k.id)
		}
	}
	s.keys.now.Store(&all)
	return nil
}

func newStampKeys(keys [][]byte) ([]*stampKey, error) {
	var all []*stampKey
	for i, key := range keys {
		if len(key) != stampKeySize {
			return nil, fmt.Errorf("exchange: stamp key %d has %d bytes: want %d", i+1, len(key), stampKeySize)
		}
		k := newStampKey(key)
		if keyOf(all, k.id) != nil {
			return nil, fmt.Errorf("exchange: stamp key %d is there twice (id %x): remove one", i+1, k.id)
		}
		all = append(all, k)
	}
	return all, nil
}

func keyOf(all []*stampKey, id [4]byte) *stampKey {
	for _, k := range all {
		if k.id == id {
			return k
		}
	}
	return nil
}
