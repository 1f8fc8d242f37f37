package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func with(algorithm string) func(*Config) { return func(c *Config) { c.Algorithm = algorithm } }

// K1: of every kind of key the published set has the public members and no others, and each has kty, use, alg and kid.
func TestK1_EveryKindOfKeyIsPublishedWithoutItsPrivateHalf(t *testing.T) {
	t.Parallel()
	for algorithm, members := range map[string][]string{
		ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		EdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
		RS256: {"alg", "e", "kid", "kty", "n", "use"},
		PS256: {"alg", "e", "kid", "kty", "n", "use"},
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			memory := store.NewMemory()
			k, other := buildKit(t, memory, with(algorithm)), buildKit(t, memory, with(algorithm))
			k.look(t)
			other.look(t)
			k.sharesWith(t, other, algorithm)
			var set struct{ Keys []map[string]string }
			if err := json.Unmarshal(k.KeySet(), &set); err != nil {
				t.Fatal(err)
			}
			if len(set.Keys) != 2 || set.Keys[0]["kid"] == set.Keys[1]["kid"] {
				t.Fatalf("%s: want the active key and the next", k.KeySet())
			}
			parsed, err := verifier.ParseJWKS(k.KeySet())
			if err != nil {
				t.Fatalf("our own verifier refuses the set: %v", err)
			}
			for n, jwk := range set.Keys {
				var names []string
				for name := range jwk {
					names = append(names, name)
				}
				slices.Sort(names)
				if diff := cmp.Diff(members, names); diff != "" || jwk["alg"] != algorithm || jwk["use"] != "sig" {
					t.Errorf("key %v (-want +got):\n%s", jwk, diff)
				}
				key := k.Held().keys[n]
				got, err := parsed.Key(t.Context(), key.id)
				if err != nil || got.Algorithm != algorithm || !key.public.(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Public) {
					t.Errorf("key %s: published %+v, %v; want its public half, for %s", key.id, got, err, algorithm)
				}
			}
		})
	}
}

// A key of each kind and its thumbprint, worked out apart from this code: EC with
// printf '{"crv":"P-256",…}' | openssl dgst -sha256 -binary | basenc --base64url; RSA is RFC 7638 §3.1, Ed25519 RFC 8037 §A.3.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	t.Parallel()
	point := slices.Concat([]byte{4}, decode(t, "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis"), decode(t, "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE"))
	ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	modulus := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	for want, public := range map[string]crypto.PublicKey{
		"qT5yKRo0isoECLGe0-hJJux4iMROawVfs8LFcQ2Aveo": ec,
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": &rsa.PublicKey{N: new(big.Int).SetBytes(decode(t, modulus)), E: 65537},
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": ed25519.PublicKey(decode(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
	} {
		if got := thumbprint(public); got != want {
			t.Errorf("thumbprint of a %T: %s, want %s", public, got, want)
		}
	}
}

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sharesWith: every algorithm signs what a verifier accepts, over a store and back, and the header says which it is.
func (k *kit) sharesWith(t *testing.T, other *kit, algorithm string) {
	t.Helper()
	raw := k.token(t)
	if err := verifyWith(t, other.KeySet(), raw); err != nil {
		t.Errorf("signed by one issuer, verified with the set of another: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"alg": algorithm, "kid": k.activeKey(t), "typ": "at+jwt"}, header(t, raw)); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if k.activeKey(t) != other.activeKey(t) {
		t.Error("two issuers sign by two keys")
	}
}

// A7: a key is used with its own algorithm, also where another one would fit its type: what PS256 signed does not hold
// as RS256, and the other way round, whatever the header says.
func TestA7_AlgorithmIsTheKeysAlsoForRSA(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, leastRSA)
	if err != nil {
		t.Fatal(err)
	}
	key := func(algorithm string) *Key {
		return &Key{id: thumbprint(private.Public()), algorithm: algorithm, public: private.Public(), private: hide[crypto.Signer](private)}
	}
	for _, published := range []string{RS256, PS256} {
		for _, signs := range []string{RS256, PS256} {
			err := verifyWith(t, newKeySet([]Key{*key(published)}), sign(t, key(signs)))
			if (err == nil) != (signs == published) || err != nil && !errors.Is(err, verifier.ErrInvalid) {
				t.Errorf("a key for %s, a token by %s: %v", published, signs, err)
			}
		}
	}
}

// The halves of an ECDSA signature keep their length whatever their value; what is no signature is refused.
func TestECDSASignaturesHaveOneLength(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for range 600 { // one in 128 has a short half
		joined, err := signature(private, ES256, []byte("text"))
		if err != nil || len(joined) != 64 {
			t.Fatalf("%d bytes, %v", len(joined), err)
		}
		if joined[0] == 0 || joined[32] == 0 {
			short++
		}
	}
	for name, row := range map[string]struct {
		r, s int64
		want byte
	}{"small": {1, 2, 2}, "with a sign byte": {128, 255, 255}} {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(row.r), big.NewInt(row.s)})
		if err != nil {
			t.Fatal(err)
		}
		joined, err := joinECDSA(der)
		if err != nil || joined[63] != row.want || joined[31] != byte(row.r) || joined[0] != 0 {
			t.Errorf("%s: %x, %v", name, joined, err)
		}
		for n := range der {
			if _, err := joinECDSA(der[:n]); err == nil {
				t.Errorf("%s: cut to %d bytes and accepted", name, n)
			}
		}
		if _, err := joinECDSA(append(slices.Clone(der), 0)); err == nil {
			t.Errorf("%s: longer and accepted", name)
		}
	}
	t.Logf("%d of 600 signatures have a half that begins with zero", short)
}

// K2: another algorithm is a rotation. Verifiers that know only a set of two minutes ago never meet a key that is not in
// it, and the old key leaves when its last token has died.
func TestK2_AnotherAlgorithmIsARotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		buildKit(t, s).look(t)
		for _, algorithm := range []string{EdDSA, PS256, ES256} {
			k := buildKit(t, s, with(algorithm)) // restarted with another configuration
			before := ""
			sets := [][]byte{}
			for range 60 { // quarters of a minute
				k.look(t)
				if before == "" {
					before = k.activeKey(t)
				}
				sets = append(sets, k.KeySet())
				raw := k.token(t)
				if err := verifyWith(t, sets[max(0, len(sets)-9)], raw); err != nil {
					t.Fatalf("to %s: a token of now, with the set of two minutes ago: %v", algorithm, err)
				}
				time.Sleep(15 * time.Second)
			}
			if got := k.Held().Active().Algorithm(); got != algorithm || k.activeKey(t) == before {
				t.Errorf("a quarter of an hour later %s signs, want %s", got, algorithm)
			}
			if !k.Held().Has(before) {
				t.Errorf("to %s: the old key left while its last token may live", algorithm)
			}
			time.Sleep(10*time.Minute + retireSkew)
			k.look(t)
			if k.Held().Has(before) {
				t.Errorf("to %s: the old key is published after its last token has died", algorithm)
			}
		}
	})
}

// Two issuers that are told two algorithms, as in the middle of a deployment, do not write over each other at each look.
func TestTwoAlgorithmsAtOnceDoNotFight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		one, two := buildKit(t, s, with(ES256)), buildKit(t, s, with(EdDSA))
		for range 10 * 12 { // ten minutes of looks
			one.look(t)
			two.look(t)
			time.Sleep(followEvery)
		}
		if g := one.Held().generation; g > 5 {
			t.Errorf("the ring changed %d times in ten minutes", g)
		}
	})
}

func TestUnknownAlgorithmsAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "none", "HS256", "es256", "ES384", "RS512"} {
		if err := CheckAlgorithm(name); err == nil || !strings.Contains(err.Error(), "use ES256, EdDSA, RS256 or PS256") {
			t.Errorf("%q: %v, want the four that there are", name, err)
		}
	}
}
