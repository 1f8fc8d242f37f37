package exchange

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Reference is the opaque string that a client holds:
//
//	<prefix>_ RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR MMMMM TTTTTTTTTTT CCCCCC     (without the spaces)
//
//	R  43 characters   random, more than 256 bits
//	M   5 characters   Unix minute of issue
//	T  11 characters   64 bits of HMAC-SHA256 under the stamp key: forged references die before any look-up
//	C   6 characters   CRC-32 (IEEE) of everything before it: for secret scanners and typing errors
//
// It cannot be printed, logged, marshalled or compared with ==: every formatter sees "[reference]", every encoder an
// error. A Reference is only ever made by Stamper.New and Stamper.Parse, so whoever has one knows that its form and
// its tag are right.
type Reference struct{ text secret }

// What is derived from a reference is derived one way, under its own label.
const (
	jtiLabel  = "coatcheck/v1/jti"
	sealLabel = "coatcheck/v1/seal"
	sealSize  = 32 // AES-256
	jtiSize   = 16
)

// JTI is the log-safe id of the grant: 32 lower-case hex characters, HKDF-SHA256 of the whole reference. Who reads
// it in a log learns nothing that opens the edge.
func (r Reference) JTI() string {
	return hex.EncodeToString(r.derive(nil, jtiLabel, jtiSize))
}

// sealKey needs both the reference and a pepper of ours: the owner of a reference who can read the store still cannot
// open his own record. The caller wipes it after use.
func (r Reference) sealKey(pepper []byte) []byte {
	return r.derive(pepper, sealLabel, sealSize)
}

func (r Reference) derive(salt []byte, label string, size int) []byte {
	return derive([]byte(r.text.reveal()), salt, label, size)
}

// derive is HKDF-SHA256 (RFC 5869). It wipes key, so that the caller's copy is not one more.
func derive(key, salt []byte, label string, size int) []byte {
	defer clear(key)
	out, err := hkdf.Key(sha256.New, key, salt, label, size)
	if err != nil { // only for a size beyond 255 hashes
		panic("exchange: internal error: " + err.Error())
	}
	return out
}

// Reveal is the one way out.
func (r Reference) Reveal() string { return r.text.reveal() }

// String is "[reference]", whatever the reference.
func (r Reference) String() string { return "[reference]" }

// Format writes "[reference]" for every verb.
func (r Reference) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue is "[reference]".
func (r Reference) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText fails, and with it every encoder that would use it.
func (r Reference) MarshalText() ([]byte, error) {
	return nil, errors.New("exchange: a reference cannot be marshalled")
}
