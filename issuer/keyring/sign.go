package keyring

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Sign makes a JWS of one class; typ keeps the classes apart (RFC 8725 §3.11). The header is the same for all of a
// class. Neither typ nor a key id may have a character that JSON would escape.
//
// The private key is used as a crypto.Signer and nothing more, so it may live in another process or in hardware.
func (k *Key) Sign(typ string, payload []byte) (string, error) {
	if k.private == nil {
		return "", fmt.Errorf("keyring: sign %s: the private key of %s is not here", typ, k.id)
	}
	encode := base64.RawURLEncoding
	header := `{"alg":"` + k.algorithm + `","kid":"` + k.id + `","typ":"` + typ + `"}`
	text := encode.EncodeToString([]byte(header)) + "." + encode.EncodeToString(payload)
	signature, err := signature(k.private(), k.algorithm, []byte(text))
	if err != nil {
		return "", fmt.Errorf("keyring: sign %s: %w", typ, err)
	}
	return text + "." + encode.EncodeToString(signature), nil
}

// signature is that of RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1. What a crypto.Signer is asked for, its documentation
// says: a digest, but for Ed25519, which signs the text itself.
func signature(private crypto.Signer, algorithm string, text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	switch algorithm {
	case EdDSA:
		return private.Sign(rand.Reader, text, crypto.Hash(0))
	case RS256:
		return private.Sign(rand.Reader, digest[:], crypto.SHA256)
	case PS256:
		return private.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	der, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return joinECDSA(der)
}

// p256Half is the length of R and of S in a signature of ES256.
const p256Half = 32

var errNotECDSA = errors.New("keyring: the signer answered with what is no ECDSA signature")

// joinECDSA turns SEQUENCE { INTEGER r, INTEGER s }, which a crypto.Signer answers with, into R and S of a fixed length
// (RFC 7518 §3.4). At these lengths DER has one byte of length.
func joinECDSA(der []byte) ([]byte, error) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, errNotECDSA
	}
	joined := make([]byte, 2*p256Half)
	rest, ok := takeInteger(der[2:], joined[:p256Half])
	if ok {
		rest, ok = takeInteger(rest, joined[p256Half:])
	}
	if !ok || len(rest) > 0 {
		return nil, errNotECDSA
	}
	return joined, nil
}

// takeInteger writes the DER integer at the beginning of der to the end of into, and returns what follows it.
func takeInteger(der, into []byte) (rest []byte, ok bool) {
	if len(der) < 2 || der[0] != 0x02 || int(der[1]) > len(der)-2 || der[1] == 0 {
		return nil, false
	}
	digits, rest := der[2:2+int(der[1])], der[2+int(der[1]):]
	if digits[0] == 0 { // keeps the number positive
		digits = digits[1:]
	}
	if len(digits) > len(into) {
		return nil, false
	}
	copy(into[len(into)-len(digits):], digits)
	return rest, true
}
