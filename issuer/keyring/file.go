package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
	if f.path == "" {
		return nil, nil
	}
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: ring file: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	blob, err := io.ReadAll(io.LimitReader(file, maxRingFile))
	if err != nil {
		return nil, fmt.Errorf("keyring: ring file: %w", err)
	}
	r, err := openRing(f.sealing, fileVersion, blob)
	if err != nil {
		return nil, fmt.Errorf("keyring: ring file %s: %w; if its encryption key is really gone, delete the file", f.path, err)
	}
	return r, nil
}

// save replaces the copy. When it returns, the copy survives a crash: written aside, synced, renamed, and the folder
// synced, in this order.
func (f ringFile) save(r *Ring) error {
	if f.path == "" {
		return nil
	}
	blob, err := r.seal(f.sealing, fileVersion)
	if err == nil {
		err = replaceFile(f.path, blob)
	}
	if err != nil {
		return fmt.Errorf("keyring: ring file: %w; the ring is not used before it is kept", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	aside, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(aside.Name()) }() // it is gone after the rename
	_, err = aside.Write(content)
	err = errors.Join(err, aside.Sync(), aside.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(aside.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
