package store

import (
	"errors"
	"fmt"
)

// A register is sealed state in many pieces, each under a key of its own, with one head: whoever writes a piece writes
// the head with it, so that the head can vouch for all of them. The store keeps them and knows nothing of what they say.

// Sealed is one piece of a register, as it was written last.
type Sealed struct {
	Key     string // at most MaxHandle bytes of [A-Za-z0-9_-]
	Version uint64 // the head's, when it was written
	Blob    []byte // at most MaxEntry bytes
}

// Register is what Register reads: the head, and entries that were written after a version.
type Register struct {
	Version uint64 // of the head; 0: there is none
	Blob    []byte
	Entries []Sealed // by version, the lowest first
	More    bool     // there are more behind the last one
}

// RegisterWrite is what SwapRegister writes, all of it or nothing.
type RegisterWrite struct {
	Version uint64 // of the head from then on; above the one before it
	Blob    []byte
	Entries []Sealed // at most MaxEntries
	Whole   bool     // nothing else stays
}

// Limits of a register. What one write may hold is what a register may: it can be written back whole.
const (
	MaxEntry   = 16 << 10 // bytes of an entry's blob
	MaxHead    = 4 << 10  // bytes of a head's blob
	MaxEntries = 20000    // of one write
	maxVersion = 1 << 53  // beyond, Lua's numbers are not exact

	registerPage  = 256       // entries of an answer
	registerBytes = 512 << 10 // of an answer; one entry more may come
)

func (w RegisterWrite) check(old uint64) error {
	switch {
	case w.Version <= old || w.Version >= maxVersion:
		return fmt.Errorf("version %d does not follow %d", w.Version, old)
	case len(w.Blob) == 0 || len(w.Blob) > MaxHead:
		return fmt.Errorf("head has %d bytes, must have 1 to %d", len(w.Blob), MaxHead)
	case len(w.Entries) > MaxEntries:
		return fmt.Errorf("%d entries are written at once, %d are the most", len(w.Entries), MaxEntries)
	}
	for _, e := range w.Entries {
		if err := checkName("key of an entry", e.Key); err != nil {
			return err
		}
		if len(e.Blob) == 0 || len(e.Blob) > MaxEntry {
			return fmt.Errorf("entry has %d bytes, must have 1 to %d", len(e.Blob), MaxEntry)
		}
		if e.Version == 0 || e.Version > w.Version {
			return errors.New("the version of an entry must be above 0 and not above the head's")
		}
	}
	return nil
}
