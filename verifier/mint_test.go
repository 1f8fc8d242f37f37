package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// What every test token is about.
const (
	testIssuer   = "https://auth.example.com"
	testAudience = "orders-api"
)

var testNow = time.Unix(1767225600, 0) // 2026-01-01T00:00:00Z

// testKey is a test-only key, derived from its name and nothing else: anybody can make it, so it protects nothing.
type testKey struct {
	kid, alg string
	private  crypto.Signer
}

// seed is sha256 of a label, for as many bytes as are asked for.
func seed(label string, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "coatcheck test key, never use it/%s/%d", label, i))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

func ecKey(kid, alg string, curve elliptic.Curve) testKey {
	size := (curve.Params().BitSize + 7) / 8
	private, err := ecdsa.ParseRawPrivateKey(curve, seed(kid, size))
	if err != nil {
		panic(err)
	}
	return testKey{kid, alg, private}
}

func edKey(kid string) testKey {
	return testKey{kid, "EdDSA", ed25519.NewKeyFromSeed(seed(kid, ed25519.SeedSize))}
}

// rsaKey takes the first primes above two seeds, so that every version of Go makes the same key.
func rsaKey(kid, alg string, bits int) testKey {
	one, e := big.NewInt(1), big.NewInt(65537)
	prime := func(label string) *big.Int {
		p := new(big.Int).SetBytes(seed(label, bits/16))
		p.SetBit(p, bits/2-1, 1).SetBit(p, bits/2-2, 1).SetBit(p, 0, 1)
		for !p.ProbablyPrime(10) || new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) != 0 {
			p.Add(p, big.NewInt(2))
		}
		return p
	}
	p, q := prime(kid+"/p"), prime(kid+"/q")
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(e, phi),
		Primes:    []*big.Int{p, q},
	}
	private.Precompute()
	return testKey{kid, alg, private}
}

// The keys of the tests, made once. Tests do not change them.
var testKeys = sync.OnceValue(func() (k struct{ es, es2, p384, ed, rs, ps, weak testKey }) {
	k.es = ecKey("es256-a", "ES256", elliptic.P256())
	k.es2 = ecKey("es256-b", "ES256", elliptic.P256())
	k.p384 = ecKey("p384-as-es256", "ES256", elliptic.P384())
	k.ed = edKey("eddsa-a")
	k.rs = rsaKey("rs256-a", "RS256", 2048)
	k.ps = rsaKey("ps256-a", "PS256", 2048)
	k.weak = rsaKey("rs256-1024-bits", "RS256", 1024)
	return k
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// material is the public part of the key as JWK members.
func (k testKey) material() string {
	switch public := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		return fmt.Sprintf(`"kty":"EC","crv":%q,"x":%q,"y":%q`,
			public.Params().Name, b64(point[1:1+half]), b64(point[1+half:]))
	case ed25519.PublicKey:
		return fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":%q`, b64(public))
	case *rsa.PublicKey:
		return fmt.Sprintf(`"kty":"RSA","n":%q,"e":"AQAB"`, b64(public.N.Bytes()))
	default:
		panic("no such key")
	}
}

func (k testKey) jwk() string {
	return fmt.Sprintf(`{%s,"kid":%q,"alg":%q,"use":"sig"}`, k.material(), k.kid, k.alg)
}

// keySet is a JWKS document of keys and of entries that are given as text.
func keySet(entries ...any) string {
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = fmt.Sprint(e)
		if k, ok := e.(testKey); ok {
			texts[i] = k.jwk()
		}
	}
	return `{"keys":[` + strings.Join(texts, ",") + `]}`
}

// signature signs as the key's algorithm says, deterministically.
func (k testKey) signature(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		return rawECDSA(private, k.der(input))
	case *rsa.PrivateKey:
		if k.alg == "PS256" {
			return signPSS(private, digest[:], sha256.Size)
		}
		return must(rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:]))
	default:
		return must(private.Sign(nil, []byte(input), crypto.Hash(0)))
	}
}

// der is an ECDSA signature as X.509 has it; without a random source it is that of RFC 6979.
func (k testKey) der(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	return must(k.private.Sign(nil, digest[:], crypto.SHA256))
}

// token signs a header and a payload, both given as JSON text.
func (k testKey) token(header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(k.signature(input))
}

// header is this key's header for an access token.
func (k testKey) header() string { return k.headerOf("at+jwt") }

func (k testKey) headerOf(typ string) string {
	return fmt.Sprintf(`{"typ":%q,"alg":%q,"kid":%q}`, typ, k.alg, k.kid)
}

// access signs an access token with some claims changed; see claims.
func (k testKey) access(changes ...string) string { return k.token(k.header(), claims(changes...)) }

// claims is the payload of a good access token, with changes: pairs of a name and the JSON text of its value;
// an empty text leaves the claim out.
func claims(changes ...string) string {
	names := []string{"iss", "sub", "aud", "client_id", "jti", "iat", "exp", "scope", "handles", "tenant"}
	values := map[string]string{
		"iss": `"` + testIssuer + `"`, "sub": `"client:partner-shop"`, "aud": `"` + testAudience + `"`,
		"client_id": `"partner-shop"`, "jti": `"0f1e2d3c4b5a69788796a5b4c3d2e1f0"`,
		"iat": `1767225540`, "exp": `1767226140`, "scope": `"orders:read orders:write"`,
		"handles": `{"client":"Y2xpZW50","family":"ZmFtaWx5","subject":"c3ViamVjdA"}`, "tenant": `"acme"`,
	}
	for i := 0; i < len(changes); i += 2 {
		if _, ok := values[changes[i]]; !ok {
			names = append(names, changes[i])
		}
		values[changes[i]] = changes[i+1]
	}
	var members []string
	for _, name := range names {
		if values[name] != "" {
			members = append(members, `"`+name+`":`+values[name])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
