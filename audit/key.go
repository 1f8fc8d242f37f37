package audit

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// KeySize is the size of a Key in bytes.
const KeySize = 32

// Key makes and checks the macs of a log. Who has it can write lines that verify, and nothing else: it opens nothing.
// It cannot be printed, logged or marshalled.
type Key struct{ reveal func() []byte }

// NewKey takes 32 random or derived bytes.
func NewKey(secret []byte) (Key, error) {
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("audit: a key has %d bytes, not %d", KeySize, len(secret))
	}
	kept := [KeySize]byte(secret)
	return Key{func() []byte { return kept[:] }}, nil
}

// ParseKeys reads what Reveal has written, one key a line.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for n, row := range strings.Split(strings.TrimRight(text, "\r\n"), "\n") {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(row))
		if err != nil || len(raw) != KeySize {
			return nil, fmt.Errorf("audit: line %d is no key: `coatcheck audit key` prints one", n+1)
		}
		k, err := NewKey(raw)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// ID is a log-safe name of the key, derived one way.
func (k Key) ID() string {
	id, err := hkdf.Key(sha256.New, k.reveal(), nil, "coatcheck/v1/audit-key-id", 4)
	if err != nil {
		panic("audit: internal error: HKDF: " + err.Error())
	}
	return hex.EncodeToString(id)
}

// Reveal is the key as text, for whoever verifies elsewhere.
func (k Key) Reveal() string { return base64.StdEncoding.EncodeToString(k.reveal()) }

func (k Key) mac(content []byte) []byte {
	h := hmac.New(sha256.New, k.reveal())
	h.Write(content)
	return h.Sum(nil)
}

// Format prints a placeholder for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[audit key]") }

// LogValue keeps the key out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue("[audit key]") }

// MarshalText refuses: Reveal is the one way out.
func (k Key) MarshalText() ([]byte, error) {
	return nil, errors.New("audit: a key cannot be marshalled")
}
