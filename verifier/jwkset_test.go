package verifier_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func TestParseJWKSRefusesTheSet(t *testing.T) {
	t.Parallel()
	k := testKeys()
	with := func(member string) string {
		return strings.TrimSuffix(k.es.jwk(), "}") + "," + member + "}"
	}
	many := make([]any, 65)
	for i := range many {
		many[i] = strings.ReplaceAll(k.es.jwk(), "es256-a", fmt.Sprintf("k%d", i))
	}
	for name, set := range map[string]string{
		"empty":                             "",
		"no JSON":                           "<html>",
		"an array":                          "[]",
		"no keys":                           "{}",
		"keys is null":                      `{"keys":null}`,
		"keys is an object":                 `{"keys":{}}`,
		"no key in it":                      `{"keys":[]}`,
		"keys twice":                        `{"keys":[` + k.es.jwk() + `],"keys":[]}`,
		"keys in two cases":                 `{"keys":[` + k.es.jwk() + `],"Keys":[]}`,
		"a key that is a string":            keySet(k.es, `"x"`),
		"a name twice in a key":             keySet(with(`"kid":"other"`)),
		"a kid twice":                       keySet(k.es, k.ed, strings.ReplaceAll(k.es2.jwk(), "es256-b", "es256-a")),
		"a kid twice, once on a foreign":    keySet(k.es, `{"kty":"AKP","kid":"es256-a"}`),
		"65 keys":                           keySet(many...),
		"only keys that cannot be used":     keySet(`{"kty":"AKP","kid":"a","alg":"ML-DSA-44","pub":"AA"}`),
		"longer than 256 KiB":               `{"x":"` + strings.Repeat("x", 256<<10) + `","keys":[` + k.es.jwk() + `]}`,
		"something behind it":               keySet(k.es) + "{}",
		"a symmetric key":                   keySet(k.es, `{"kty":"oct","kid":"h","k":"c2VjcmV0"}`),
		"a private member of a foreign kty": keySet(k.es, `{"kty":"AKP","kid":"m","priv":"c2VjcmV0"}`),
	} {
		if keys, err := verifier.ParseJWKS([]byte(set)); err == nil {
			t.Errorf("ParseJWKS of a set that is %q = %v, want an error", name, keys)
		}
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, err := verifier.ParseJWKS([]byte(keySet(k.ed, with(`"`+member+`":"AQ"`)))); err == nil ||
			!strings.Contains(err.Error(), "publish public keys only") {
			t.Errorf("ParseJWKS with the private member %q = %v, want it refused", member, err)
		}
	}
}

// A verifier must not go blind because the issuer publishes one key of a kind that it does not know yet.
func TestParseJWKSSkipsWhatItCannotUse(t *testing.T) {
	t.Parallel()
	k := testKeys()
	edit := func(old, replacement string) string { return strings.ReplaceAll(k.es2.jwk(), old, replacement) }
	for name, entry := range map[string]string{
		"an unknown kty":          `{"kty":"AKP","kid":"m","alg":"ML-DSA-44","pub":"AA"}`,
		"no kty":                  `{"kid":"m","alg":"ES256"}`,
		"an empty key":            `{}`,
		"an unknown alg":          edit(`"ES256"`, `"ES256K"`),
		"no alg":                  edit(`"alg":"ES256",`, ``),
		"alg of another kty":      edit(`"ES256"`, `"RS256"`),
		"use enc":                 edit(`"sig"`, `"enc"`),
		"use that is no string":   edit(`"sig"`, `1`),
		"no kid":                  edit(`"kid":"es256-b",`, ``),
		"a kid of other letters":  edit(`es256-b`, `a/b`),
		"a kid that is a number":  edit(`"es256-b"`, `7`),
		"a curve of another size": edit(`"P-256"`, `"P-384"`),
		"P-384":                   k.p384.jwk(),
		"RSA of 1024 bits":        k.weak.jwk(),
		"x that is no base64url":  `{"kty":"EC","crv":"P-256","x":"*","y":"AA","kid":"m","alg":"ES256"}`,
		"x that is a number":      `{"kty":"EC","crv":"P-256","x":1,"y":"AA","kid":"m","alg":"ES256"}`,
		"a short Ed25519 key":     `{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"m","alg":"EdDSA"}`,
		"X25519":                  `{"kty":"OKP","crv":"X25519","x":"AAAA","kid":"m","alg":"EdDSA"}`,
		"broken certificates":     strings.TrimSuffix(k.es2.jwk(), "}") + `,"x5c":["AAAA"]}`,
	} {
		keys, err := verifier.ParseJWKS([]byte(keySet(entry, k.es)))
		if err != nil {
			t.Errorf("ParseJWKS with %s: %v, want it skipped", name, err)
			continue
		}
		if got := slices.Collect(maps.Keys(keys)); !slices.Equal(got, []string{"es256-a"}) {
			t.Errorf("ParseJWKS with %s has the keys %q, want es256-a alone", name, got)
		}
	}
}

func TestParseJWKSReadsAllFourAlgorithms(t *testing.T) {
	t.Parallel()
	got := make(map[string]string)
	for id, k := range staticKeys() {
		got[id] = k.Algorithm
	}
	want := map[string]string{"es256-a": "ES256", "eddsa-a": "EdDSA", "rs256-a": "RS256", "ps256-a": "PS256"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	if _, err := staticKeys().Key(t.Context(), "nobody"); !errors.Is(err, verifier.ErrUnknownKey) {
		t.Errorf("Key(nobody) = %v, want ErrUnknownKey", err)
	}
}

// What is accepted is usable: kid, algorithm and key fit, whatever the document looked like.
func FuzzParseJWKS(f *testing.F) {
	k := testKeys()
	for _, seed := range []string{
		keySet(), keySet(k.es, k.ed), keySet(k.rs, k.ps), keySet(k.es, k.es), keySet(k.p384, k.weak, k.ed),
		keySet(`{"kty":"oct","k":"AA","kid":"h","alg":"HS256"}`), keySet(`{"kty":"AKP","kid":"m","alg":"ML-DSA-44","pub":"AA"}`, k.ed),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := verifier.ParseJWKS(data)
		if (len(keys) == 0) != (err != nil) || len(keys) > 64 {
			t.Fatalf("ParseJWKS(%q) = %d keys, %v", data, len(keys), err)
		}
		for id, key := range keys {
			if id == "" || key.ID != id || key.Public == nil || !slices.Contains([]string{"ES256", "EdDSA", "RS256", "PS256"}, key.Algorithm) {
				t.Errorf("ParseJWKS(%q)[%q] = %+v", data, id, key)
			}
		}
	})
}
