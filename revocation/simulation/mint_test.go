package simulation_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/verifier"
)

// mint signs manifests; the library that does so for real belongs to another room. It is made once for all seeds.
type mint struct {
	private map[string]ed25519.PrivateKey // by kid
	keys    verifier.StaticKeys
}

const signingKeys = 6

func newMint() *mint {
	m := &mint{private: map[string]ed25519.PrivateKey{}, keys: verifier.StaticKeys{}}
	for i := range signingKeys {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		kid := fmt.Sprintf("key-%d", i)
		m.private[kid], m.keys[kid] = private, verifier.Key{ID: kid, Algorithm: "EdDSA", Public: public}
	}
	return m
}

func (m *mint) sign(t *token) (manifest string, tokens map[string]exchange.Token) {
	access := exchange.NewToken("an.access.token")
	claims := exchange.Manifest{
		Issuer: issuerURL, JTI: t.jti, ClientID: t.client, IssuedAt: t.issued, ExpiresAt: t.issued.Add(life),
		Handles: exchange.Handles{Client: t.client, Family: t.family, Subject: t.subject},
		Shares:  map[string]exchange.ManifestShare{"orders-api": share(access)},
	}.Claims()
	text := segment(map[string]any{"alg": "EdDSA", "kid": t.kid, "typ": exchange.ManifestType}) + "." + segment(claims)
	signature := ed25519.Sign(m.private[t.kid], []byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), map[string]exchange.Token{"orders-api": access}
}

func segment(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
