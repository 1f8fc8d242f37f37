// Package envelope wraps a signed token so that one service alone can open it: a nested JWT (RFC 7519 §5.2, §11.2), signed
// first and then encrypted (RFC 7516).
//
// It protects what a token says from everybody between the issuer and its service, the edge included, which forwards it
// unseen: what it may forward it knows by the token's hash, which is in the signed manifest. It proves nothing. Whoever has
// the public key can encrypt, so the service verifies the signature inside as ever; package verifier opens and verifies.
//
// There is one way to wrap: A256GCM under ECDH-ES, ECDH-ES+A256KW or RSA-OAEP-256, no compression, and a header that says
// alg, enc, cty, kid and nothing else but the ephemeral key. A key that is not known, or that does not fit, is an error and
// never a token that is not encrypted.
package envelope

import (
	"context"
	"errors"
	"fmt"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/go-jose/go-jose/v4"
)

// ErrNoKey says that the key of the service cannot be told now: nothing can be said to it.
var ErrNoKey = errors.New("envelope: the encryption key of the service is not known")

// Recipient is a service that gets its tokens encrypted.
type Recipient struct {
	// Keys are verifier.EncryptionKeys, or a verifier.EncryptionJWKS. Required.
	Keys verifier.KeySource
	// KeyID names the key to use; empty: the first, which is the newest.
	KeyID string
}

// Wrap encrypts a signed token to the recipient. ErrNoKey if there is no key to encrypt to. It may wait for one fetch of the
// recipient's keys, bounded by ctx and 5 seconds; safe for concurrent use.
func (r *Recipient) Wrap(ctx context.Context, signed string) (string, error) {
	k, err := r.Keys.Key(ctx, r.KeyID)
	if err == nil {
		err = k.CheckEncryption()
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	to := jose.Recipient{Algorithm: jose.KeyAlgorithm(k.Algorithm), KeyID: k.ID, Key: k.Public}
	e, err := jose.NewEncrypter(jose.A256GCM, to, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		return "", fmt.Errorf("envelope: encrypt to key %s: %w", k.ID, err)
	}
	sealed, err := e.Encrypt([]byte(signed))
	if err != nil {
		return "", fmt.Errorf("envelope: encrypt to key %s: %w", k.ID, err)
	}
	text, err := sealed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("envelope: encrypt to key %s: %w", k.ID, err)
	}
	return text, nil
}
