package configs

import (
	"crypto/sha256"
	"encoding/base64"
)

// use is what a secret is for. One secret for two uses gives whoever is trusted with one of them the other as well; clients
// among themselves are the operator's own affair.
type use struct{ role, what string }

// oneUse notes what the secret with this SHA-256 is for, and a fault if it is for something else already.
func (b *builder) oneUse(sum [sha256.Size]byte, at placed, role, what string) {
	if b.uses == nil {
		b.uses = map[[sha256.Size]byte]use{}
	}
	if before, again := b.uses[sum]; again && before.role != role {
		b.doc.fault(at.node, "%s: is also %s, so that whoever is given one has the other as well; make another with `%s`", at.label, before.what, makeSecret)
		return
	}
	b.uses[sum] = use{role, what}
}

// keepKeys notes keys as they stand in their file: somebody may hand the same line out as a secret.
func (b *builder) keepKeys(keys [][]byte, at placed, what string) {
	for _, key := range keys {
		b.oneUse(sha256.Sum256([]byte(base64.StdEncoding.EncodeToString(key))), at, "key", "a key of "+what)
	}
}
