package verifier

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Key management algorithms of an encrypted token (RFC 7518 §4.1). The content is always under A256GCM.
const (
	ECDHES       = "ECDH-ES"
	ECDHESA256KW = "ECDH-ES+A256KW"
	RSAOAEP256   = "RSA-OAEP-256"
)

// EncryptionKeys are the public keys that a service wants its tokens encrypted to, in the order of its key set. As a
// KeySource they never change; the empty id is that of the first key, which is the one to use: a service that rotates
// puts its new key in front.
type EncryptionKeys []Key

var (
	_ KeySource = EncryptionKeys(nil)
	_ KeySource = (*EncryptionJWKS)(nil)
)

// Key returns the key with that id, or the first; ErrUnknownKey if there is none. It never blocks.
func (s EncryptionKeys) Key(_ context.Context, id string) (Key, error) {
	for _, k := range s {
		if id == "" || k.ID == id {
			return k, nil
		}
	}
	return Key{}, ErrUnknownKey
}

// ParseEncryptionKeys reads the encryption keys of one algorithm out of an RFC 7517 key set. It refuses what ParseJWKS
// refuses, and skips a key whose use is not enc: what a service signs with, or what is there for something else, must
// never be encrypted to by mistake. A set with no usable key is an error that says why each was skipped.
func ParseEncryptionKeys(data []byte, algorithm string) (EncryptionKeys, error) {
	entries, err := keyEntries(data)
	if err != nil {
		return nil, fmt.Errorf("verifier: key set: %w", err)
	}
	var keys EncryptionKeys
	seen := make(map[string]struct{}, len(entries))
	var skipped []string
	for i, entry := range entries {
		jwk, err := parseObject([]byte(entry))
		if err == nil {
			err = checkPublished(jwk, seen)
		}
		if err != nil {
			return nil, fmt.Errorf("verifier: key set: key %d: %w", i, err)
		}
		k, err := parseEncryptionKey(jwk, entry, algorithm)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("key %d: %v", i, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("verifier: key set has no usable encryption key (%s)", strings.Join(skipped, "; "))
	}
	return keys, nil
}

// NewEncryptionKey is a public key to encrypt to. Without an algorithm it is ECDHES for an EC key and RSAOAEP256 for an RSA
// key, without an id the RFC 7638 thumbprint: so issuer and service have the same name for it without asking each other.
func NewEncryptionKey(public crypto.PublicKey, algorithm, id string) (Key, error) {
	k := Key{ID: id, Algorithm: algorithm, Public: public}
	if _, isRSA := public.(*rsa.PublicKey); k.Algorithm == "" && isRSA {
		k.Algorithm = RSAOAEP256
	} else if k.Algorithm == "" {
		k.Algorithm = ECDHES
	}
	if k.ID == "" {
		sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
		if err != nil {
			return Key{}, fmt.Errorf("verifier: encryption key: %w", err)
		}
		k.ID = base64.RawURLEncoding.EncodeToString(sum)
	}
	if err := k.CheckEncryption(); err != nil {
		return Key{}, fmt.Errorf("verifier: encryption key: %w", err)
	}
	return k, nil
}

func parseEncryptionKey(jwk object, text, algorithm string) (Key, error) {
	id, _ := jwk.text("kid")
	if use, _ := jwk.text("use"); use != "enc" {
		return Key{}, errors.New("use is not enc")
	}
	if alg, _ := jwk.text("alg"); jwk.has("alg") && alg != algorithm {
		return Key{}, errors.New("alg is not " + algorithm)
	}
	public, err := parsePublic(text)
	if err != nil {
		return Key{}, err
	}
	k := Key{ID: strings.Clone(id), Algorithm: algorithm, Public: public}
	return k, k.CheckEncryption()
}

// CheckEncryption says why nothing can be encrypted to the key: a kid that is none, or an algorithm that does not fit.
func (k Key) CheckEncryption() error {
	if !validKeyID(k.ID) {
		return fmt.Errorf("kid is not 1 to %d characters of A-Z a-z 0-9 - _", maxKeyID)
	}
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		if k.Algorithm == ECDHES || k.Algorithm == ECDHESA256KW {
			_, err := public.ECDH() // P-256, P-384 or P-521, and on it
			return err
		}
	case *rsa.PublicKey:
		if k.Algorithm == RSAOAEP256 {
			return checkRSA(public)
		}
	}
	return fmt.Errorf("algorithm %q does not fit a key of type %T", k.Algorithm, k.Public)
}

// EncryptionJWKS is EncryptionKeys over HTTP, with the cache of a JWKS: the last good set is kept while the service is
// away, and a set that is not fresh is fetched anew in the background of a use.
type EncryptionJWKS struct{ jwks *JWKS }

// NewEncryptionJWKS checks the configuration, which must have a URL. It fetches nothing: the first use does.
func NewEncryptionJWKS(c JWKSConfig, algorithm string) (*EncryptionJWKS, error) {
	if c.URL == "" {
		return nil, errors.New("verifier: no place for encryption keys to come from: set URL")
	}
	j, err := NewJWKS(c)
	if err != nil {
		return nil, err
	}
	j.source.read = func(set *keySet, data []byte) error {
		list, err := ParseEncryptionKeys(data, algorithm)
		if err != nil {
			return err
		}
		set.first, set.keys = list[0], make(StaticKeys, len(list))
		for _, k := range list {
			set.keys[k.ID] = k
		}
		return nil
	}
	return &EncryptionJWKS{j}, nil
}

// Key returns the key with that id, or with the empty id the first of the set. It blocks as JWKS.Key does.
func (e *EncryptionJWKS) Key(ctx context.Context, id string) (Key, error) {
	if id == "" {
		return e.jwks.first(ctx)
	}
	return e.jwks.Key(ctx, id)
}
