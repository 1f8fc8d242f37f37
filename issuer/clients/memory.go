package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// memory is the file where an issuer keeps how far it has followed the register: who can write to the store cannot bring
// back an older one by waiting for a restart. The zero value keeps nothing. The file is sealed, under a name of its own.
type memory struct {
	path    string
	sealing *sealing.Keys
}

// seen is what the file says.
type seen struct {
	Version   uint64 `json:"version"`
	Epoch     uint64 `json:"epoch"`
	Beginning []byte `json:"beginning"`
	Digest    []byte `json:"digest"`
}

const (
	memoryName = "clients-seen"
	maxMemory  = 4 << 10
)

// load is nil where there is no file yet. One that does not open is an error, never a new beginning.
func (m memory) load() (*seen, error) {
	blob, err := sealing.ReadFile(m.path, maxMemory)
	if err != nil {
		return nil, fmt.Errorf("clients: file: %w", err)
	}
	if blob == nil {
		return nil, nil
	}
	plain, err := m.sealing.Open(memoryName, 0, blob)
	if err != nil {
		return nil, fmt.Errorf("clients: file %s: %w; if its encryption key is really gone, delete the file", m.path, err)
	}
	var s seen
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, fmt.Errorf("clients: file %s is not what this version writes", m.path)
	}
	return &s, nil
}

// refuses says why what the store holds cannot be what this issuer has seen, or later.
func (s *seen) refuses(h head, version uint64) error {
	older := h.Epoch < s.Epoch || h.Epoch == s.Epoch && version < s.Version || h.Epoch > s.Epoch && h.Restored < s.Version
	switch {
	case !bytes.Equal(h.Beginning, s.Beginning):
		return errors.New("clients: the store holds a register of clients of another beginning than this issuer has seen; " +
			"restore the store from its newest copy, or delete this issuer's file to go on with what there is")
	case older || version == s.Version && h.Epoch == s.Epoch && !bytes.Equal(h.Digest, s.Digest):
		return fmt.Errorf("clients: the store holds an older or another register of clients (version %d) than this issuer has seen (version %d); "+
			"start an issuer that still has it, restore the store from its newest copy, or delete this issuer's file to go on with what there is", version, s.Version)
	}
	return nil
}

// save replaces the file. When it returns, the file survives a crash.
func (m memory) save(r *roll) error {
	if m.path == "" || r.version == 0 {
		return nil
	}
	plain, err := json.Marshal(seen{r.version, r.head.Epoch, r.head.Beginning, r.head.Digest})
	if err == nil {
		err = sealing.ReplaceFile(m.path, m.sealing.Seal(memoryName, 0, plain))
	}
	if err != nil {
		return fmt.Errorf("clients: file: %w; what was read is not used before it is kept", err)
	}
	return nil
}
