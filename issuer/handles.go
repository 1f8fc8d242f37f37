package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// indexKey makes handles: the opaque names of client, family and subject that tokens and records carry in clear, so
// that revocation can speak of them. Edges and services do not have it, so they can compare handles and never find out
// whom one names.
//
// It comes from the key-encryption key and not from the key ring: issuers whose store has lost its data may sign by two
// rings for a while, and each has to find by its name what the other has issued.
type indexKey [32]byte

// newIndexKeys are those of all sealing keys, that of the first first: it makes handles, and while sealing keys are
// being replaced others may still be named by the rest.
func newIndexKeys(s *sealing.Keys) []indexKey {
	var keys []indexKey
	for _, k := range s.Derive("coatcheck/v1/index", len(indexKey{})) {
		keys = append(keys, indexKey(k))
	}
	return keys
}

// handle is 16 bytes of HMAC-SHA256 over kind, NUL, value, as 22 characters of base64url. No kind contains a NUL,
// so two kinds never share a handle.
func (k *indexKey) handle(kind, value string) string {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// of names a grant. A family is everything derived from one grant: it begins with that grant's jti.
func (k *indexKey) of(clientID, subject, jti string) exchange.Handles {
	return exchange.Handles{
		Client:  k.handle("client", clientID),
		Family:  k.handle("family", jti),
		Subject: k.handle("subject", subject),
	}
}
