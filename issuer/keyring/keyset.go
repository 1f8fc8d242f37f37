package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"time"
)

// SetAge is how long anybody may keep the set without asking: short beside publishFor.
const SetAge = time.Minute

// publicKey is a JWK (RFC 7517 §4, RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2). It has no field for a private member, so
// none can get out. The members of a kind are in lexical order, as its thumbprint wants them.
type publicKey struct {
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
	Curve     string `json:"crv,omitempty"`
	Exponent  string `json:"e,omitempty"`
	Type      string `json:"kty"`
	Modulus   string `json:"n,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
}

// newKeySet is the JWKS of a ring: next and retired keys are in it as well as the active one.
func newKeySet(keys []Key) []byte {
	set := struct {
		Keys []publicKey `json:"keys"`
	}{}
	for _, k := range keys {
		jwk := required(k.public)
		jwk.Use, jwk.Algorithm, jwk.ID = "sig", k.algorithm, k.id
		set.Keys = append(set.Keys, jwk)
	}
	return marshal(set)
}

// thumbprint is the RFC 7638 id of a key: SHA-256 over its required members in lexical order, without white space.
func thumbprint(public crypto.PublicKey) string {
	sum := sha256.Sum256(marshal(required(public)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// required are the members that make a key what it is (RFC 7638 §3.2, RFC 8037 §2).
func required(public crypto.PublicKey) publicKey {
	encode := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		x, y := coordinates(k)
		return publicKey{Type: "EC", Curve: "P-256", X: encode(x), Y: encode(y)}
	case ed25519.PublicKey:
		return publicKey{Type: "OKP", Curve: "Ed25519", X: encode(k)}
	case *rsa.PublicKey:
		return publicKey{Type: "RSA", Modulus: encode(k.N.Bytes()), Exponent: encode(big.NewInt(int64(k.E)).Bytes())}
	}
	panic("keyring: a key that fits no algorithm got into a ring")
}

// coordinates are the fixed-length halves of the uncompressed point (SEC 1 §2.3.3: 04 | X | Y).
func coordinates(k *ecdsa.PublicKey) (x, y []byte) {
	point, err := k.Bytes()
	if err != nil {
		panic("keyring: P-256 key is not on its curve: " + err.Error())
	}
	half := (len(point) - 1) / 2
	return point[1 : 1+half], point[1+half:]
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("keyring: public keys cannot be marshalled: " + err.Error())
	}
	return text
}
