package issuer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/coatcheck/coatcheck/exchange"
)

// indexKey makes handles: the opaque names of client, family and subject that tokens and records carry in clear, so
// that revocation can speak of them. It lives in the key ring; edges and services do not have it, so they can
// compare handles and never find out whom one names.
type indexKey [32]byte

func newIndexKey() (k indexKey) {
	_, _ = rand.Read(k[:]) // never fails: crypto/rand ends the process instead
	return k
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
