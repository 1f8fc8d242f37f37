package configs

import (
	"crypto/sha256"
	"fmt"
)

// KeyFile is a file of keys that may change while a process runs. A rotation is two edits, the same on every process: a
// new key is added as the last line (accepted), then moved to the first (used).
type KeyFile struct {
	Name string // as the configuration calls it
	path string
	seen [sha256.Size]byte // what was last looked at, taken or not
	why  error             // why that was not taken
	take func(keys ...[]byte) error
}

// Look reads the file again. If it has changed, its keys are put in the place of those in use, or else the error says
// why they were not: it cannot be read, a line of it is no key, or it lacks a key that is in use. The error stays until
// the file is mended. It is for one caller at a time.
func (f *KeyFile) Look() (taken bool, err error) {
	text, err := readSecret(f.path, ownerAndGroup)
	if err != nil {
		return false, fmt.Errorf("%s %w", f.path, err)
	}
	sum := sha256.Sum256([]byte(text))
	if sum == f.seen {
		return false, f.why
	}
	f.seen = sum
	keys, err := parseKeys(text)
	if err != nil {
		f.why = fmt.Errorf("%s%w", f.path, err)
	} else if err = f.take(keys...); err != nil {
		f.why = fmt.Errorf("%s: %w", f.path, err)
	} else {
		f.why = nil
	}
	return f.why == nil, f.why
}

// watch notes a key file whose keys were just taken. Keys from a variable cannot change.
func (b *builder) watch(file string, name string, take func(keys ...[]byte) error) {
	if file == "" {
		return
	}
	f := &KeyFile{Name: name, path: b.doc.beside(file), take: take}
	if text, err := readSecret(f.path, ownerAndGroup); err == nil {
		f.seen = sha256.Sum256([]byte(text))
	}
	b.keyFiles = append(b.keyFiles, f)
}
