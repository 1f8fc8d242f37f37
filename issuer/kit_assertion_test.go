package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/golang-jwt/jwt/v5"
)

// clientPrivateKeys are those of the client "signing", by kid; made once, because RSA keys take time.
var clientPrivateKeys = sync.OnceValue(func() map[string]crypto.Signer {
	es, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(rand.Reader)
	rs, err3 := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]crypto.Signer{"ES256": es, "EdDSA": ed, "RS256": rs, "PS256": rs}
})

// clientJWKS is their public halves; each kid is the name of the algorithm.
func clientJWKS(t testing.TB, algorithms ...string) []byte {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	var keys []map[string]any
	for _, alg := range algorithms {
		jwk := map[string]any{"kid": alg, "alg": alg, "use": "sig"}
		switch public := clientPrivateKeys()[alg].Public().(type) {
		case *ecdsa.PublicKey:
			point, err := public.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(jwk, map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])})
		case ed25519.PublicKey:
			maps.Copy(jwk, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(public)})
		case *rsa.PublicKey:
			maps.Copy(jwk, map[string]any{"kty": "RSA", "n": b64(public.N.Bytes()), "e": "AQAB"})
		}
		keys = append(keys, jwk)
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signingKeys(t testing.TB) *clients.Keys {
	t.Helper()
	k, err := clients.NewKeys(clients.KeySpec{JWKS: clientJWKS(t, clients.KeyAlgorithms()...)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// assert is a good assertion of the client "signing", each a new one; pairs replace claims, or of the header typ, alg and
// kid. A value of nil takes the claim away.
func assert(pairs ...any) string {
	now := time.Now()
	header := map[string]any{"alg": "ES256", "typ": "client-authentication+jwt"}
	claims := jwt.MapClaims{
		"iss": "signing", "sub": "signing", "aud": testIssuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for n := 0; n < len(pairs); n += 2 {
		name, value := pairs[n].(string), pairs[n+1]
		into := map[string]any(claims)
		if name == "typ" || name == "alg" || name == "kid" || name == "crit" || name == "jwk" {
			into = header
		}
		if into[name] = value; value == nil {
			delete(into, name)
		}
	}
	alg := header["alg"].(string)
	if header["kid"] == nil {
		header["kid"] = alg
	}
	var key any = clientPrivateKeys()[alg]
	switch alg {
	case "none":
		key = jwt.UnsafeAllowNoneSignatureType
	case "HS256":
		key = []byte("a secret that both sides know well")
	}
	signed, err := (&jwt.Token{Header: header, Claims: claims, Method: jwt.GetSigningMethod(alg)}).SignedString(key)
	if err != nil {
		panic(fmt.Sprint("sign an assertion: ", err))
	}
	return signed
}

// asserting is a form that gets a token by an assertion.
func asserting(assertion string, pairs ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	for n := 0; n < len(pairs); n += 2 {
		f.Set(pairs[n], pairs[n+1])
	}
	return f
}

// settledKit is a kit whose store was opened long ago, by the clock of synctest.
func settledKit(t testing.TB, changes ...func(*Config)) *kit {
	t.Helper()
	k := newKit(t, changes...)
	time.Sleep(10 * time.Minute)
	if err := k.keeper.Look(t.Context()); err != nil { // it was not asked for so long
		t.Fatal(err)
	}
	return k
}
