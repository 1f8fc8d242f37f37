package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/verifier"
)

// KeySpec says where the public keys of a client are. Exactly one of JWKS and URL is set.
type KeySpec struct {
	JWKS []byte // a key set (RFC 7517); every key has a kid
	// URL is where the client publishes its key set: https, or http on loopback. It is fetched when it is used, at most once
	// in ten seconds for unknown kids, never with a redirect, and no more than 256 KiB of it are read.
	URL string
	// Algorithms that the client may sign with, of ES256, EdDSA, PS256 and RS256; empty: all of them.
	Algorithms []string
	// Private lets URL lead to addresses that are not public: for a URL that the operator has chosen. One that comes from
	// elsewhere could make this process ask what only it can reach.
	Private bool
}

// Keys are the public keys of a client, for what it signs to say that it is the client. They are safe for concurrent use
// and start nothing that must be stopped.
type Keys struct {
	spec   KeySpec
	source verifier.KeySource
}

var _ verifier.KeySource = (*Keys)(nil)

// KeyAlgorithms are those that a client may sign with: each is asymmetric, so that this issuer cannot sign as the client.
func KeyAlgorithms() []string { return []string{"ES256", "EdDSA", "PS256", "RS256"} }

// NewKeys checks everything that can be checked without a network.
func NewKeys(s KeySpec) (*Keys, error) {
	if len(s.Algorithms) == 0 {
		s.Algorithms = KeyAlgorithms()
	}
	for _, a := range s.Algorithms {
		if !slices.Contains(KeyAlgorithms(), a) {
			return nil, fmt.Errorf("clients: algorithm %q is not accepted: use %s", a, strings.Join(KeyAlgorithms(), ", "))
		}
	}
	if (len(s.JWKS) > 0) == (s.URL != "") {
		return nil, errors.New("clients: no keys, or two places for them: set a key set or the URL of one")
	}
	k := &Keys{spec: s}
	if s.URL == "" {
		static, err := verifier.ParseJWKS(s.JWKS, s.Algorithms...)
		if err != nil {
			return nil, err
		}
		k.source = static
		return k, nil
	}
	c := verifier.JWKSConfig{URL: s.URL, Algorithms: s.Algorithms}
	if !s.Private {
		c.Client = publicOnly()
	}
	fetched, err := verifier.NewJWKS(c)
	if err != nil {
		return nil, err
	}
	k.source = fetched
	return k, nil
}

// Spec is what the keys were made of; its parts are not to be changed.
func (k *Keys) Spec() KeySpec { return k.spec }

// Key finds a key of the client, as verifier.KeySource says. One of another algorithm than the client may use is none.
func (k *Keys) Key(ctx context.Context, id string) (verifier.Key, error) {
	key, err := k.source.Key(ctx, id)
	if err == nil && !slices.Contains(k.spec.Algorithms, key.Algorithm) {
		return verifier.Key{}, verifier.ErrUnknownKey
	}
	return key, err
}
