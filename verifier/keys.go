package verifier

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Key is one public key: to verify with, or to encrypt to. The algorithm comes from the key, never from a token
// (RFC 8725 §3.1).
type Key struct {
	ID        string
	Algorithm string           // ES256, EdDSA, RS256 or PS256; of an encryption key ECDHES, ECDHESA256KW or RSAOAEP256
	Public    crypto.PublicKey // *ecdsa.PublicKey on P-256, ed25519.PublicKey, or *rsa.PublicKey
}

// KeySource finds keys by id.
type KeySource interface {
	// Key returns the key with that id. ErrUnknownKey: the source is sure that there is none.
	// ErrKeysUnavailable: it cannot tell now. It may block for one bounded fetch; safe for concurrent use.
	Key(ctx context.Context, id string) (Key, error)
}

// StaticKeys is a KeySource that never changes; by kid.
type StaticKeys map[string]Key

var _ KeySource = StaticKeys(nil)

// Key returns the key with that id, or ErrUnknownKey. It never blocks.
func (s StaticKeys) Key(_ context.Context, id string) (Key, error) {
	k, ok := s[id]
	if !ok {
		return Key{}, ErrUnknownKey
	}
	return k, nil
}

// Bounds of an RSA modulus in bits: RFC 7518 §3.3 asks for 2048; over 8192 one signature costs milliseconds.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// maxKeyID bounds a kid, in a token and in a key set. Ours are thumbprints of 43 characters.
const maxKeyID = 128

// validKeyID reports whether a kid can be the key of a map and nothing more: no path, no query, no control
// character survives this alphabet, whatever a KeySource does with it.
func validKeyID(id string) bool {
	if id == "" || len(id) > maxKeyID {
		return false
	}
	for i := range len(id) {
		if !isBase64URL(id[i]) {
			return false
		}
	}
	return true
}

// knownAlgorithm is the whole list; `none` and the HMACs are not on it, so no key can be used with them.
func knownAlgorithm(alg string) bool {
	return alg == "ES256" || alg == "EdDSA" || alg == "RS256" || alg == "PS256"
}

// method pairs the key's algorithm with its type, curve and size. golang-jwt would verify ES256 with a P-384
// key, and RS256 with one of 1024 bits: this is the place that refuses both.
func (k Key) method() (jwt.SigningMethod, error) {
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		// Off-curve and zero points need no second check here: ecdsa.Verify refuses every signature under them.
		if k.Algorithm == "ES256" && public.Curve == elliptic.P256() {
			return jwt.SigningMethodES256, nil
		}
	case ed25519.PublicKey:
		if k.Algorithm == "EdDSA" {
			return jwt.SigningMethodEdDSA, checkEd25519(public)
		}
	case *rsa.PublicKey:
		if err := checkRSA(public); err != nil {
			return nil, err
		}
		switch k.Algorithm {
		case "RS256":
			return jwt.SigningMethodRS256, nil
		case "PS256":
			return strictPS256(), nil
		}
	}
	return nil, fmt.Errorf("algorithm %q does not fit a key of type %T", k.Algorithm, k.Public)
}

// checkEd25519 refuses a key of the wrong length, and the all-zero one: a key that somebody forgot to fill is a
// point of order 4, under which anybody can sign. (Of a key set, go-jose refuses all points of low order.)
func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize || [ed25519.PublicKeySize]byte(k) == [ed25519.PublicKeySize]byte{} {
		return errors.New("Ed25519 key is empty or of the wrong length")
	}
	return nil
}

func checkRSA(k *rsa.PublicKey) error {
	if k.N == nil || k.N.BitLen() < minRSABits || k.N.BitLen() > maxRSABits {
		return fmt.Errorf("RSA key has not between %d and %d bits", minRSABits, maxRSABits)
	}
	// With e = 1 a signature is the padded hash itself.
	if k.E < 3 || k.E%2 == 0 {
		return errors.New("RSA exponent is even or below 3")
	}
	return nil
}

// strictPS256 accepts only a salt as long as the hash (RFC 7518 §3.5); golang-jwt's own PS256 takes any.
func strictPS256() jwt.SigningMethod {
	strict := *jwt.SigningMethodPS256
	strict.VerifyOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return &strict
}

// verify checks a signature over the signing input (RFC 7515 §5.2). ECDSA signatures are R||S of 64 bytes, so
// DER ones fail by their length.
func (k Key) verify(input string, signature []byte) error {
	m, err := k.method()
	if err != nil {
		return err
	}
	return m.Verify(input, signature, k.Public)
}
