package keyring

import (
	"fmt"

	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// ringFile is where an issuer keeps its own copy of the newest ring that it has used, so that it knows after a
// restart too what is older (agreement.go): who can write to the store cannot bring back last week's ring by waiting
// for a restart, and a store that has lost its data gets the ring back. The zero value keeps nothing.
//
// The copy is sealed like the one in the store, under a version that the store never has: neither can stand in for
// the other.
type ringFile struct {
	path    string
	sealing *sealing.Keys
}

const (
	fileVersion = 0 // the store counts from 1
	maxRingFile = 1 << 20
)

// load reads the copy; nil where there is none yet. A file that does not open is an error, never a new beginning.
func (f ringFile) load() (*Ring, error) {
	blob, err := sealing.ReadFile(f.path, maxRingFile)
	if err != nil {
		return nil, fmt.Errorf("keyring: ring file: %w", err)
	}
	if blob == nil {
		return nil, nil
	}
	r, err := openRing(f.sealing, fileVersion, blob)
	if err != nil {
		return nil, fmt.Errorf("keyring: ring file %s: %w; if its encryption key is really gone, delete the file", f.path, err)
	}
	return r, nil
}

// save replaces the copy. When it returns, the copy survives a crash.
func (f ringFile) save(r *Ring) error {
	if f.path == "" {
		return nil
	}
	blob, err := r.seal(f.sealing, fileVersion)
	if err == nil {
		err = sealing.ReplaceFile(f.path, blob)
	}
	if err != nil {
		return fmt.Errorf("keyring: ring file: %w; the ring is not used before it is kept", err)
	}
	return nil
}
