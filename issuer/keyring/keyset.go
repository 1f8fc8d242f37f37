package keyring

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// publicKey is a JWK (RFC 7517 §4, RFC 7518 §6.2.1). It has no field for a private member, so none can get out.
type publicKey struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// SetAge is how long anybody may keep the set without asking: short beside publishFor.
const SetAge = time.Minute

// newKeySet is the JWKS of a ring: next and retired keys are in it as well as the active one.
func newKeySet(keys []Key) []byte {
	set := struct {
		Keys []publicKey `json:"keys"`
	}{}
	for _, k := range keys {
		x, y := coordinates(k.public())
		set.Keys = append(set.Keys, publicKey{"EC", "sig", algorithm, k.id, "P-256", x, y})
	}
	body, err := json.Marshal(set)
	if err != nil {
		panic("keyring: key set cannot be marshalled: " + err.Error())
	}
	return body
}

// thumbprint is the RFC 7638 id of a key: SHA-256 over its required members in lexical order, without white space.
func thumbprint(k *ecdsa.PublicKey) string {
	x, y := coordinates(k)
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// coordinates are the fixed-length halves of the uncompressed point (SEC 1 §2.3.3: 04 | X | Y).
func coordinates(k *ecdsa.PublicKey) (x, y string) {
	point, err := k.Bytes()
	if err != nil {
		panic("keyring: P-256 key is not on its curve: " + err.Error())
	}
	half := (len(point) - 1) / 2
	return base64.RawURLEncoding.EncodeToString(point[1 : 1+half]), base64.RawURLEncoding.EncodeToString(point[1+half:])
}
