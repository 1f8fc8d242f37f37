// Package sealing closes what the store keeps but may not read or change: under the key-encryption keys, which the
// issuers alone have.
package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
)

// Sealed state, as the store sees it:
//
//	version 1 (1 byte) | id of the key-encryption key (4) | nonce (12) | AES-256-GCM ciphertext and tag
//
// The name of the state and the version under which the store keeps it are associated data: a blob moved to another
// name, or put back under another version, does not open. Nonces are random; a key would have to seal 2^32 times
// before that became a worry (NIST SP 800-38D §8.3), and a ring is sealed a few times a month.
const (
	sealVersion = 1
	sealIDSize  = 4
	sealKeySize = 32
	sealNonce   = 12
	sealHeader  = 1 + sealIDSize + sealNonce
)

var (
	ErrForeignKey = errors.New("sealing: sealed under another encryption key")
	ErrBroken     = errors.New("sealing: sealed state does not open")
)

// Keys are the key-encryption keys: the first seals, all open. They cannot be printed, logged or marshalled.
// They can be replaced while they are in use (Replace), and are safe for concurrent use.
type Keys struct {
	now *atomic.Pointer[[]sealingKey] // swapped whole
}

type sealingKey struct {
	id     [sealIDSize]byte // derived one way: may be logged
	secret hidden[[sealKeySize]byte]
}

// New takes keys of 32 bytes each. To replace one, put the new key first and keep the old one behind it
// until everything has been sealed anew.
func New(keys ...[]byte) (*Keys, error) {
	if len(keys) == 0 {
		return nil, errors.New("sealing: no encryption key: make one with `openssl rand -base64 32`")
	}
	all, err := derived(keys)
	if err != nil {
		return nil, err
	}
	s := &Keys{&atomic.Pointer[[]sealingKey]{}}
	s.now.Store(&all)
	return s, nil
}

// ErrKeyMissing is why a list of keys is not taken: it lacks a key that is in use.
var ErrKeyMissing = errors.New("sealing: an encryption key in use is missing")

// Replace puts another list in the place of the one in use; the first key seals from then on. Every key in use must be
// among them, in whatever place, else ErrKeyMissing: what it sealed must open, and a file that somebody is still writing
// must not close it. A key leaves with the process. It is for one caller at a time.
func (s *Keys) Replace(keys ...[]byte) error {
	if len(keys) == 0 {
		return ErrKeyMissing
	}
	all, err := derived(keys)
	if err != nil {
		return err
	}
	for _, k := range *s.now.Load() {
		if _, there := find(all, k.id); !there {
			return fmt.Errorf("%w: %x; it stays in use until this process ends", ErrKeyMissing, k.id)
		}
	}
	s.now.Store(&all)
	return nil
}

func derived(keys [][]byte) ([]sealingKey, error) {
	var all []sealingKey
	for n, raw := range keys {
		if len(raw) != sealKeySize {
			return nil, fmt.Errorf("sealing: encryption key %d has %d bytes, not 32: make one with `openssl rand -base64 32`", n+1, len(raw))
		}
		k := sealingKey{secret: hide([sealKeySize]byte(raw))}
		k.id = [sealIDSize]byte(k.derive("coatcheck/v1/encryption-key-id", sealIDSize))
		if _, twice := find(all, k.id); twice {
			return nil, fmt.Errorf("sealing: encryption key %d repeats an earlier one: delete the line", n+1)
		}
		all = append(all, k)
	}
	return all, nil
}

// KeyIDs are log-safe ids of the loaded keys, the sealing one first.
func (s *Keys) KeyIDs() []string {
	var ids []string
	for _, k := range *s.now.Load() {
		ids = append(ids, hex.EncodeToString(k.id[:]))
	}
	return ids
}

func find(all []sealingKey, id [sealIDSize]byte) (sealingKey, bool) {
	for _, k := range all {
		if k.id == id {
			return k, true
		}
	}
	return sealingKey{}, false
}

// Seal closes plain for one name and one version of it.
func (s *Keys) Seal(name string, version uint64, plain []byte) []byte {
	k := (*s.now.Load())[0]
	blob := make([]byte, sealHeader, sealHeader+len(plain)+16)
	blob[0] = sealVersion
	copy(blob[1:], k.id[:])
	nonce := blob[1+sealIDSize : sealHeader]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return k.aead(name).Seal(blob, nonce, plain, sealContext(name, version))
}

// Open is the reverse. ErrForeignKey names the mend; ErrBroken means that somebody changed what is stored.
func (s *Keys) Open(name string, version uint64, blob []byte) ([]byte, error) {
	if len(blob) < sealHeader || blob[0] != sealVersion {
		return nil, fmt.Errorf("%w: it has not the form that this program writes", ErrBroken)
	}
	id := [sealIDSize]byte(blob[1:])
	k, ok := find(*s.now.Load(), id)
	if !ok {
		return nil, fmt.Errorf("%w: %x; loaded are %s: add the key that sealed it as a further line of the encryption key file",
			ErrForeignKey, id, strings.Join(s.KeyIDs(), ", "))
	}
	plain, err := k.aead(name).Open(nil, blob[1+sealIDSize:sealHeader], blob[sealHeader:], sealContext(name, version))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, moved or put back by somebody who has not the key", ErrBroken)
	}
	return plain, nil
}

// aead is the cipher for one purpose: what is sealed under one name is under another key than every other name.
func (k sealingKey) aead(name string) cipher.AEAD {
	block, err := aes.NewCipher(k.derive("coatcheck/v1/state/"+name, sealKeySize))
	if err != nil {
		panic("sealing: AES refuses a key of 32 bytes: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("sealing: no GCM: " + err.Error())
	}
	return aead
}

// Derive makes from each key, in their order, another one for one purpose; label says which, and no other purpose may
// have the same.
func (s *Keys) Derive(label string, size int) [][]byte {
	var out [][]byte
	for _, k := range *s.now.Load() {
		out = append(out, k.derive(label, size))
	}
	return out
}

// derive is HKDF-SHA256 without salt (RFC 5869): the keys are uniformly random already.
func (k sealingKey) derive(purpose string, size int) []byte {
	secret := k.secret()
	out, err := hkdf.Key(sha256.New, secret[:], nil, purpose, size)
	if err != nil {
		panic("sealing: HKDF: " + err.Error())
	}
	return out
}

// sealContext is the associated data: length, name, version. The length keeps two names from ever running together.
func sealContext(name string, version uint64) []byte {
	aad := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	return binary.BigEndian.AppendUint64(append(aad, name...), version)
}

// Format prints a placeholder for every verb.
func (s Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[sealing keys]") }

// LogValue keeps the keys out of logs.
func (s Keys) LogValue() slog.Value { return slog.StringValue("[sealing keys]") }

// MarshalText refuses: keys go nowhere.
func (s Keys) MarshalText() ([]byte, error) {
	return nil, errors.New("sealing: sealing keys cannot be marshalled")
}

// hidden holds what must not be seen. It is a function: fmt prints its address, encoding/json refuses it, == does not
// compile, and the only way out is to call it.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
