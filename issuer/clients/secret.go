package clients

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"
)

// SecretHash is a client secret at rest. It cannot be printed, logged or marshalled: even a hash is something to
// try guesses on. The zero value is "no secret".
//
// A generated secret needs no slow hash: nobody can guess 128 bits, and a slow hash would let anybody keep the
// issuer's cores busy. argon2id is for secrets that people chose or that were imported.
type SecretHash struct {
	hash hidden[secretHash] // nil: no secret
}

type secretHash struct {
	sum    [sha256.Size]byte // of a generated secret
	phc    string            // argon2id; empty: sum counts
	beside *secretHash       // the secret that was before; nil: none
	until  time.Time         // when that one ends; zero: it does not
}

// Bounds of an argon2id hash. Below, the algorithm panics or protects nothing; above, one check could take the
// memory or the time of all others. The least memory is argonLeastMemory's.
const (
	argonMaxMemory = 256 << 10 // KiB
	argonMaxPasses = 16
	argonMinSalt   = 8
	argonMinKey    = 16

	minSecret = 16 // bytes of a secret's text
)

// ParseSecretHash reads `sha256:<hex>` of a generated secret, or an argon2id PHC string.
func ParseSecretHash(s string) (SecretHash, error) {
	if digits, ok := strings.CutPrefix(s, "sha256:"); ok {
		sum, err := hex.DecodeString(digits)
		if err != nil || len(sum) != sha256.Size {
			return SecretHash{}, errors.New("clients: secret hash: sha256: is followed by 64 hex digits")
		}
		return SecretHash{hide(secretHash{sum: [sha256.Size]byte(sum)})}, nil
	}
	if strings.HasPrefix(s, "$argon2id$") {
		return parseArgon(s)
	}
	return SecretHash{}, errors.New("clients: secret hash: use sha256:<hex> of a generated secret, or an argon2id string ($argon2id$…)")
}

// argonLeastMemory is the least m, in KiB, for so many passes: the equal minima of OWASP's Password Storage Cheat
// Sheet, 46 MiB for one pass down to 7 MiB for five and more. There is at least one pass.
func argonLeastMemory(passes uint32) uint32 {
	least := [...]uint32{47104, 19456, 12288, 9216, 7168}
	return least[min(int(passes), len(least))-1]
}

func parseArgon(s string) (SecretHash, error) {
	p, _, _, err := argon2id.DecodeHash(s)
	if err != nil {
		return SecretHash{}, fmt.Errorf("clients: secret hash: %w", err)
	}
	switch {
	case p.Iterations < 1 || p.Iterations > argonMaxPasses:
		err = fmt.Errorf("t=%d is not between 1 and %d", p.Iterations, argonMaxPasses)
	case p.Parallelism < 1:
		err = errors.New("p=0: at least one lane is needed")
	case p.Memory > argonMaxMemory:
		err = fmt.Errorf("m=%d is over %d (KiB)", p.Memory, argonMaxMemory)
	case p.Memory < argonLeastMemory(p.Iterations):
		err = fmt.Errorf("m=%d (KiB) is too little for t=%d, OWASP's minimum is m=%d: hash the secret anew, with m=19456,t=2,p=1 or more",
			p.Memory, p.Iterations, argonLeastMemory(p.Iterations))
	case p.SaltLength < argonMinSalt || p.KeyLength < argonMinKey:
		err = fmt.Errorf("salt and key need %d and %d bytes or more", argonMinSalt, argonMinKey)
	}
	if err != nil {
		return SecretHash{}, fmt.Errorf("clients: secret hash: argon2id: %w", err)
	}
	return SecretHash{hide(secretHash{phc: s})}, nil
}

// HashSecret hashes a generated secret. One shorter than 16 bytes is refused: it was not generated, and SHA-256
// does not protect what can be guessed.
func HashSecret(secret string) (SecretHash, error) {
	if len(secret) < minSecret {
		return SecretHash{}, fmt.Errorf("clients: client secret has %d bytes, %d are the least: generate one with `openssl rand -hex 32`", len(secret), minSecret)
	}
	return SecretHash{hide(secretHash{sum: sha256.Sum256([]byte(secret))})}, nil
}

// Impossible is a hash that no secret has: comparing with it takes as long as with a generated secret's.
func Impossible() SecretHash { return SecretHash{hide(secretHash{})} }

// Beside is the same secret with an older one that is still good until then; the zero time has no end. What was beside
// that one ends. Two slow hashes are refused: a request would cost two of them.
func (h SecretHash) Beside(old SecretHash, until time.Time) (SecretHash, error) {
	if h.IsZero() || old.IsZero() {
		return SecretHash{}, errors.New("clients: two secrets are needed")
	}
	if h.Slow() && old.Slow() {
		return SecretHash{}, errors.New("clients: of two secrets that live at once, one at most may be an argon2id hash: generate the other with `openssl rand -hex 32`")
	}
	both, earlier := h.hash(), old.hash()
	earlier.beside = nil
	both.beside, both.until = &earlier, until
	return SecretHash{hide(both)}, nil
}

// Second reports whether an older secret is still good, and until when.
func (h SecretHash) Second() (until time.Time, lives bool) {
	if h.IsZero() {
		return time.Time{}, false
	}
	hash := h.hash()
	return hash.until, hash.beside != nil && (hash.until.IsZero() || time.Now().Before(hash.until))
}

// IsZero says that there is no secret, so nothing matches.
func (h SecretHash) IsZero() bool { return h.hash == nil }

// Slow says that comparing takes tens of milliseconds and tens of mebibytes.
func (h SecretHash) Slow() bool {
	if h.IsZero() {
		return false
	}
	hash := h.hash()
	return hash.phc != "" || hash.beside != nil && hash.beside.phc != ""
}

// Matches compares in a time that depends on the hash and not on the secret.
func (h SecretHash) Matches(secret func() string) bool {
	if h.IsZero() || secret == nil {
		return false
	}
	hash, presented := h.hash(), secret()
	matched := hash.matches(presented)
	if _, lives := h.Second(); lives {
		matched = hash.beside.matches(presented) || matched
	}
	return matched
}

func (h secretHash) matches(presented string) bool {
	if h.phc != "" {
		ok, err := argon2id.ComparePasswordAndHash(presented, h.phc)
		return ok && err == nil
	}
	sum := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(sum[:], h.sum[:]) == 1
}

// text is what ParseSecretHash reads.
func (h secretHash) text() string {
	if h.phc != "" {
		return h.phc
	}
	return "sha256:" + hex.EncodeToString(h.sum[:])
}

// MAC is of a secret beside this hash, under a key of the caller's: equal for the same secret of the same hash, while the same
// ones of its secrets are good; and of no use to whoever has not the key.
func (h SecretHash) MAC(key []byte, secret func() string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, key)
	hashes := []secretHash{h.hash()}
	if _, lives := h.Second(); lives {
		hashes = append(hashes, *hashes[0].beside)
	}
	for _, hash := range hashes {
		mac.Write(binary.BigEndian.AppendUint32(hash.sum[:], uint32(len(hash.phc))))
		mac.Write([]byte(hash.phc))
	}
	sum := sha256.Sum256([]byte(secret())) // of a length that runs into nothing
	mac.Write(sum[:])
	return [sha256.Size]byte(mac.Sum(nil))
}

// Format prints a placeholder for every verb.
func (h SecretHash) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret hash]") }

// LogValue keeps the hash out of logs.
func (h SecretHash) LogValue() slog.Value { return slog.StringValue("[secret hash]") }

// MarshalText refuses: a hash goes nowhere.
func (h SecretHash) MarshalText() ([]byte, error) {
	return nil, errors.New("clients: a secret hash cannot be marshalled")
}

// hidden keeps a secret where nothing prints it by accident. fmt calls no methods on unexported fields, it walks the
// memory instead, and with some verbs follows pointers; a func it shows as an address. Calling it is the one way out.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
