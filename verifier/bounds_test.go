package verifier_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

func TestA11_WithoutIssuerOrAudienceThereIsNoVerifier(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, issuer, audience string
		config                 verifier.Config
		want                   string // a piece of the error; empty: accepted
	}{
		{"no issuer", "", testAudience, verifier.Config{}, "no issuer to expect"},
		{"no audience", testIssuer, "", verifier.Config{}, "no audience to expect"},
		{"no audience, keys given", testIssuer, "", verifier.Config{Keys: staticKeys()}, "no audience to expect"},
		{"leeway below 0", testIssuer, testAudience, verifier.Config{Leeway: -1}, "leeway -1ns is not between 0 and 1m0s"},
		{"leeway over a minute", testIssuer, testAudience, verifier.Config{Leeway: time.Minute + 1}, "is not between"},
		{"leeway of a minute", testIssuer, testAudience, verifier.Config{Leeway: time.Minute}, ""},
		{"http beyond loopback", "http://auth.example.com", testAudience, verifier.Config{}, "use https, or set InsecurePlaintext"},
		{"http beyond loopback, keys given", "http://auth.example.com", testAudience, verifier.Config{Keys: staticKeys()}, "use https"},
		{"http beyond loopback, allowed", "http://auth.example.com", testAudience, verifier.Config{InsecurePlaintext: true}, ""},
		{"http on 127.0.0.1", "http://127.0.0.1:8081", testAudience, verifier.Config{}, ""},
		{"http on ::1", "http://[::1]:8081", testAudience, verifier.Config{}, ""},
		{"http on localhost", "http://localhost:8081", testAudience, verifier.Config{}, ""},
		{"http on a name that begins like loopback", "http://127.0.0.1.example.com", testAudience, verifier.Config{}, "use https"},
		{"not a URL", "auth.example.com", testAudience, verifier.Config{}, "is not an absolute https URL"},
		{"no host", "https:///p", testAudience, verifier.Config{}, "is not an absolute https URL"},
		{"other scheme", "file:///etc/keys", testAudience, verifier.Config{}, "is not an absolute https URL"},
		{"query", testIssuer + "?a=b", testAudience, verifier.Config{}, "has a query"},
		{"fragment", testIssuer + "#", testAudience, verifier.Config{}, "has a user or a fragment"},
		{"user", "https://u@auth.example.com", testAudience, verifier.Config{}, "has a user or a fragment"},
		{"JWKS over http", testIssuer, testAudience, verifier.Config{JWKSURL: "http://auth.example.com/k"}, "use https"},
		{"JWKS over https", testIssuer, testAudience, verifier.Config{JWKSURL: "https://keys.example.com/k"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := verifier.New(c.issuer, c.audience, c.config)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("New(%q, %q) = %v, want %q in it", c.issuer, c.audience, err, c.want)
			}
		})
	}
}

// Signed is as strict as New: each field of Expect that is missing is the caller's mistake, not the token's.
func TestA11_SignedNeedsAllOfExpect(t *testing.T) {
	t.Parallel()
	full := verifier.Expect{Type: "at+jwt", Issuer: testIssuer, Audience: testAudience}
	for name, spoil := range map[string]func(*verifier.Expect){
		"type":     func(e *verifier.Expect) { e.Type = "" },
		"issuer":   func(e *verifier.Expect) { e.Issuer = "" },
		"audience": func(e *verifier.Expect) { e.Audience = "" },
		"leeway":   func(e *verifier.Expect) { e.Leeway = time.Hour },
		"bytes":    func(e *verifier.Expect) { e.MaxBytes = -1 },
	} {
		e := full
		spoil(&e)
		payload, err := verifier.Signed(t.Context(), staticKeys(), testKeys().es.access(), e, testNow)
		if payload != nil || err == nil || errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("Signed with a bad %s = %s, %v; want an error that is not ErrInvalid", name, payload, err)
		}
	}
	payload, err := verifier.Signed(t.Context(), staticKeys(), testKeys().es.access(), full, testNow)
	if err != nil || string(payload) != claims() {
		t.Errorf("Signed = %s, %v; want the payload %s", payload, err, claims())
	}
}

func TestA10_LeewayHoldsForExpAndNbf(t *testing.T) {
	t.Parallel()
	v, err := verifier.New(testIssuer, testAudience, verifier.Config{Keys: staticKeys(), Leeway: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	v.SetNow(testNow)
	for _, c := range []struct{ name, value, want string }{
		{"exp", "1767225541", wantOK},
		{"exp", "1767225540", wantExpired},
		{"nbf", "1767225660", wantOK},
		{"nbf", "1767225661", wantInvalid},
	} {
		_, err := v.Verify(t.Context(), testKeys().es.access(c.name, c.value))
		if got := outcome(err); got != c.want {
			t.Errorf("Verify with leeway 1m and %s %s (now %d) = %s, want %s", c.name, c.value, testNow.Unix(), got, c.want)
		}
	}
}

// A KeySource of somebody else may hand out anything; the pair of key and algorithm is checked on every use.
func TestA9_KeysOfForeignSourcesAreChecked(t *testing.T) {
	t.Parallel()
	k := testKeys()
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	zero := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}
	for name, key := range map[string]verifier.Key{
		"P-384 under ES256":   {ID: "es256-a", Algorithm: "ES256", Public: k.p384.private.Public()},
		"off the curve":       {ID: "es256-a", Algorithm: "ES256", Public: offCurve},
		"zero point":          {ID: "es256-a", Algorithm: "ES256", Public: zero},
		"Ed25519 under ES256": {ID: "es256-a", Algorithm: "ES256", Public: k.ed.private.Public()},
		"RSA under ES256":     {ID: "es256-a", Algorithm: "ES256", Public: k.rs.private.Public()},
		"private key":         {ID: "es256-a", Algorithm: "ES256", Public: k.es.private},
		"secret":              {ID: "es256-a", Algorithm: "ES256", Public: []byte("secret")},
		"nothing":             {ID: "es256-a", Algorithm: "ES256"},
		"short Ed25519":       {ID: "es256-a", Algorithm: "EdDSA", Public: ed25519.PublicKey("short")},
		"RSA of 1024 bits":    {ID: "es256-a", Algorithm: "RS256", Public: k.weak.private.Public()},
		"HS256":               {ID: "es256-a", Algorithm: "HS256", Public: []byte("secret")},
		"none":                {ID: "es256-a", Algorithm: "none"},
	} {
		v := newVerifier(t, verifier.StaticKeys{key.ID: key})
		for _, signer := range []testKey{k.es, k.ed, k.weak} {
			header := fmt.Sprintf(`{"typ":"at+jwt","alg":%q,"kid":"es256-a"}`, key.Algorithm)
			if _, err := v.Verify(t.Context(), signer.token(header, claims())); !errors.Is(err, verifier.ErrInvalid) {
				t.Errorf("Verify of a token signed by %s under the key %q = %v, want ErrInvalid", signer.kid, name, err)
			}
		}
	}
}

// The zero key is a point of order 4. With R the neutral point and S = 0 a signature holds for every message whose
// hash is a multiple of 4: some jti away, without any private key.
func TestA9_ZeroEd25519KeySignsNothing(t *testing.T) {
	t.Parallel()
	zero := ed25519.PublicKey(make([]byte, ed25519.PublicKeySize))
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1
	v := newVerifier(t, verifier.StaticKeys{"zero": {ID: "zero", Algorithm: "EdDSA", Public: zero}})
	for i := range 200 {
		input := b64([]byte(`{"typ":"at+jwt","alg":"EdDSA","kid":"zero"}`)) + "." + b64([]byte(claims("jti", fmt.Sprintf(`"%d"`, i))))
		if !ed25519.Verify(zero, []byte(input), forged) {
			continue
		}
		if _, err := v.Verify(t.Context(), input+"."+b64(forged)); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("Verify of a token that anybody can make = %v, want ErrInvalid", err)
		}
		return
	}
	t.Error("no message of 200 can be forged under the zero key: this test tests nothing")
}

// The work for junk is linear in its size, shown by what it allocates: a constant number of times for a token
// over the size, and no look-up of a key for one that no key could make valid.
func TestA13_JunkIsCheap(t *testing.T) {
	t.Parallel()
	k := testKeys().es
	huge := strings.Repeat("9", 8000)
	keys := staticKeys()
	for _, c := range []struct{ name, token string }{
		{"a million dots", strings.Repeat(".", 1_000_000)},
		{"a million letters", strings.Repeat("A", 1_000_000)},
		{"a kid of a mebibyte", k.token(`{"typ":"at+jwt","alg":"ES256","kid":"`+strings.Repeat("k", 1<<20)+`"}`, claims())},
		{"16 KiB of dots", strings.Repeat(".", 16<<10)},
		{"a good token with a fourth part", k.access() + ".AA"},
		{"a header of nested arrays", k.token(`{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`, claims())},
		{"a header of nested objects", k.token(strings.Repeat(`{"a":`, 2000)+"1"+strings.Repeat("}", 2000), claims())},
		{"a header of many names", k.token(manyNames(800), claims())},
		{"a header with a huge number", k.token(`{"alg":`+huge+`}`, claims())},
	} {
		asked := 0
		v := newVerifier(t, countingKeys{keys, &asked})
		if _, err := v.Verify(t.Context(), c.token); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("Verify of %s = %v, want ErrInvalid", c.name, err)
		}
		if asked != 0 {
			t.Errorf("%s: the keys were asked %d times, want 0", c.name, asked)
		}
	}
	for name, payload := range map[string]string{
		"nested arrays": claims("a", strings.Repeat("[", 3000)+strings.Repeat("]", 3000)),
		"a huge exp":    claims("exp", huge),
	} {
		if _, err := newVerifier(t, keys).Verify(t.Context(), k.token(k.header(), payload)); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("Verify of a payload with %s = %v, want ErrInvalid", name, err)
		}
	}
	if _, err := newVerifier(t, keys).Verify(t.Context(), k.access("a", huge)); err != nil {
		t.Errorf("Verify with a huge number in a claim that nobody reads = %v, want nil", err)
	}
}

// The size alone decides: these tokens are good otherwise.
func TestA13_SizeIsBounded(t *testing.T) {
	t.Parallel()
	k := testKeys().es
	long := k.access("pad", `"`+strings.Repeat("x", 12<<10)+`"`)
	short := k.access()
	for _, c := range []struct {
		name, token string
		most        int
		want        string
	}{
		{"over the default", long, 0, wantInvalid},
		{"over the default, allowed", long, 32 << 10, wantOK},
		{"at the limit", short, len(short), wantOK},
		{"one over the limit", short, len(short) - 1, wantInvalid},
	} {
		e := verifier.Expect{Type: "at+jwt", Issuer: testIssuer, Audience: testAudience, MaxBytes: c.most}
		_, err := verifier.Signed(t.Context(), staticKeys(), c.token, e, testNow)
		if got := outcome(err); got != c.want {
			t.Errorf("%s: Signed of %d bytes with MaxBytes %d = %s, want %s", c.name, len(c.token), c.most, got, c.want)
		}
	}
	if _, err := newVerifier(t, staticKeys()).Verify(t.Context(), long); outcome(err) != wantInvalid {
		t.Errorf("Verify of %d bytes = %v, want ErrInvalid", len(long), err)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// AllocsPerRun must not run beside other tests.
func TestA13_TokensOverTheSizeAreNotParsed(t *testing.T) {
	v := newVerifier(t, staticKeys())
	for _, size := range []int{17 << 10, 1 << 20} {
		junk := strings.Repeat(".", size)
		allocs := testing.AllocsPerRun(10, func() { _, _ = v.Verify(t.Context(), junk) })
		if allocs > 8 {
			t.Errorf("Verify of %d dots allocates %v times, want a few for the error", size, allocs)
		}
	}
}

// The shape that RFC 9068 §2.2 gives an access token, as a service finds it.
func TestA1_AccessTokenReachesTheServiceTyped(t *testing.T) {
	t.Parallel()
	got, err := newVerifier(t, staticKeys()).Verify(t.Context(), testKeys().es.access())
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "client:partner-shop" || got.ClientID != "partner-shop" || got.Issuer != testIssuer ||
		got.ID != "0f1e2d3c4b5a69788796a5b4c3d2e1f0" || got.Audience[0] != testAudience ||
		!got.ExpiresAt.Equal(time.Unix(1767226140, 0)) || !got.IssuedAt.Equal(time.Unix(1767225540, 0)) {
		t.Errorf("Verify = %+v", got)
	}
	if want := (verifier.Handles{Client: "Y2xpZW50", Family: "ZmFtaWx5", Subject: "c3ViamVjdA"}); got.Handles != want {
		t.Errorf("Handles = %+v, want %+v", got.Handles, want)
	}
	if !got.HasScope("orders:read") || !got.HasScope("orders:write") || got.HasScope("orders") || got.HasScope("") {
		t.Errorf("Scopes = %q", got.Scopes)
	}
	var own struct {
		Tenant string `json:"tenant"`
	}
	if err := got.Decode(&own); err != nil || own.Tenant != "acme" {
		t.Errorf("Decode = %+v, %v; want tenant acme", own, err)
	}
	if err := got.Decode(&struct{ Tenant int }{}); err == nil {
		t.Error("Decode of a string into an int = nil, want an error")
	}
}
