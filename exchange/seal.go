package exchange

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Caps.
const (
	MaxToken  = 4 << 10  // bytes of one JWT
	MaxRecord = 32 << 10 // bytes of a sealed record
)

// A blob, version 1:
//
//	 1 byte   version
//	 4 bytes  id of the stamp key whose pepper went into the seal key
//	 8 bytes  expiry, Unix seconds, big-endian
//	12 bytes  nonce, random: the key is fixed by the reference, so a nonce must never be derived from it
//	 n bytes  AES-256-GCM of the padded contents, 16 bytes of tag included
//
// The associated data are version, jti and expiry, each behind its length in one byte: a blob that is moved to
// another key, or given another expiry, does not open. The id of the stamp key needs no place among them: another one
// makes another seal key.
const (
	blobVersion = 1
	keyIDAt     = 1
	expiryAt    = keyIDAt + 4
	nonceAt     = expiryAt + 8
	cipherAt    = nonceAt + 12
	gcmTag      = 16
	sealCost    = cipherAt + gcmTag
)

var errNotOpened = errors.New("record does not open")

// seal writes the record of r, whose jti the caller has derived already. ErrTooLarge if the contents are over a cap.
func (s *Stamper) seal(r Reference, jti string, c contents, expires time.Time) ([]byte, error) {
	return s.sealWith(r, jti, c, expires, freshNonce())
}

func freshNonce() (nonce [cipherAt - nonceAt]byte) {
	rand.Read(nonce[:]) // never fails
	return nonce
}

func (s *Stamper) sealWith(r Reference, jti string, c contents, expires time.Time, nonce [cipherAt - nonceAt]byte) ([]byte, error) {
	plain, err := c.appendTo(nil)
	if err != nil {
		return nil, err
	}
	size := sizeClass(len(plain) + sealCost)
	if size > MaxRecord {
		return nil, ErrTooLarge
	}
	plain = append(plain, make([]byte, size-sealCost-len(plain))...)
	defer clear(plain)
	return s.sealed(r.sealKey, jti, plain, expires, nonce), nil
}

// sealed writes a blob; keyOf makes its key of the pepper of the first stamp key.
func (f *form) sealed(keyOf func(pepper []byte) []byte, jti string, plain []byte, expires time.Time, nonce [cipherAt - nonceAt]byte) []byte {
	key := f.keys.all()[0]
	blob := make([]byte, 0, len(plain)+sealCost)
	blob = append(blob, blobVersion)
	blob = append(blob, key.id[:]...)
	blob = binary.BigEndian.AppendUint64(blob, uint64(expires.Unix()))
	blob = append(blob, nonce[:]...)
	return aead(keyOf(key.pepper)).Seal(blob, nonce[:], plain, associated(blob, jti))
}

// open reads the record of r: its contents, and the expiry that was sealed with them.
func (s *Stamper) open(r Reference, jti string, blob []byte) (contents, time.Time, error) {
	plain, expires, err := s.opened(r.sealKey, jti, blob)
	if err != nil {
		return contents{}, time.Time{}, err
	}
	defer clear(plain)
	c, err := readContents(plain)
	return c, expires, err
}

// opened reads a blob. The caller wipes plain.
func (f *form) opened(keyOf func(pepper []byte) []byte, jti string, blob []byte) (plain []byte, expires time.Time, err error) {
	if len(blob) < sealCost || len(blob) > MaxRecord || blob[0] != blobVersion {
		return nil, time.Time{}, fmt.Errorf("%w: size or version", errNotOpened)
	}
	key := f.key([4]byte(blob[keyIDAt:expiryAt]))
	if key == nil {
		return nil, time.Time{}, fmt.Errorf("%w: stamp key %x is not loaded", errNotOpened, blob[keyIDAt:expiryAt])
	}
	plain, err = aead(keyOf(key.pepper)).Open(nil, blob[nonceAt:cipherAt], blob[cipherAt:], associated(blob, jti))
	if err != nil {
		return nil, time.Time{}, errNotOpened
	}
	return plain, time.Unix(int64(binary.BigEndian.Uint64(blob[expiryAt:])), 0), nil
}

// associated are the associated data of a blob whose clear header is written.
func associated(blob []byte, jti string) []byte {
	data := appendField(nil, blob[:1])
	data = appendField(data, jti)
	return appendField(data, blob[expiryAt:nonceAt])
}

// aead wipes the seal key at once; its schedule inside the cipher lives until it is collected.
func aead(key []byte) cipher.AEAD {
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil { // only for a wrong key size
		panic("exchange: internal error: " + err.Error())
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil { // only for a wrong block size
		panic("exchange: internal error: " + err.Error())
	}
	return gcm
}
