package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func TestP1_AnAssertionOfTheClientGetsAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := settledKit(t)
		in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
		for what, pairs := range map[string][]any{
			"as it should be":                 nil,
			"typ JWT":                         {"typ", "JWT"},
			"typ jwt with its prefix":         {"typ", "application/jwt"},
			"without typ":                     {"typ", nil},
			"EdDSA":                           {"alg", "EdDSA"},
			"RS256":                           {"alg", "RS256"},
			"PS256":                           {"alg", "PS256"},
			"without iat":                     {"iat", nil},
			"of five minutes":                 {"exp", in(5 * time.Minute)},
			"of a clock ten seconds ahead":    {"iat", in(10 * time.Second), "nbf", in(10 * time.Second)},
			"of a clock that is a bit behind": {"iat", in(-70 * time.Second), "exp", in(-9 * time.Second)},
			"with claims that nobody asked":   {"scope", "secrets:read", "client_id", "shop"},
		} {
			if w := k.post(t, asserting(assert(pairs...)), nil); w.Code != http.StatusOK {
				t.Errorf("%s: got %d %s, want a token", what, w.Code, w.Body)
			}
		}
		if w := k.post(t, asserting(assert(), "client_id", "signing"), nil); w.Code != http.StatusOK {
			t.Errorf("with the same client_id: got %d %s, want a token", w.Code, w.Body)
		}
		wantRevoked(t, "at the revocation endpoint", k.postRevoke(t, asserting(assert(), "token", "x"), nil))
	})
}

func TestP1_AnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := settledKit(t)
		want := k.post(t, grantOnly(), basic("shop", "wrong-secret-0123456789"))
		in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
		good := assert()
		body, signature, _ := strings.Cut(good[strings.Index(good, ".")+1:], ".")
		for what, assertion := range map[string]string{
			"sub of another client":          assert("sub", "shop"),
			"without sub":                    assert("sub", nil),
			"iss of another client":          assert("iss", "shop"),
			"iss of an unknown client":       assert("iss", "nobody", "sub", "nobody"),
			"of a client without keys":       assert("iss", "shop", "sub", "shop"),
			"aud of another server":          assert("aud", "https://as.example.net"),
			"aud is the token endpoint":      assert("aud", testIssuer+"/oauth2/token"),
			"aud is the issuer with a slash": assert("aud", testIssuer+"/"),
			"aud is a list of the issuer":    assert("aud", []string{testIssuer}),
			"aud is a list of two":           assert("aud", []string{testIssuer, "https://as.example.net"}),
			"without aud":                    assert("aud", nil),
			"expired":                        assert("exp", in(-10*time.Second)),
			"without exp":                    assert("exp", nil),
			"exp is a string":                assert("exp", "tomorrow"),
			"exp too far ahead":              assert("exp", in(5*time.Minute+time.Second)),
			"iat ahead":                      assert("iat", in(11*time.Second)),
			"nbf ahead":                      assert("nbf", in(11*time.Second)),
			"without jti":                    assert("jti", nil),
			"an empty jti":                   assert("jti", ""),
			"jti is a number":                assert("jti", 7),
			"a long jti":                     assert("jti", strings.Repeat("x", 257)),
			"an unknown kid":                 assert("kid", "other"),
			"a kid of another algorithm":     assert("kid", "EdDSA"),
			"RS256 by the PS256 key":         assert("alg", "RS256", "kid", "PS256"),
			"alg none":                       assert("alg", "none", "kid", "ES256"),
			"a shared secret":                assert("alg", "HS256", "kid", "ES256"),
			"crit":                           assert("crit", []string{"b64"}),
			"not signed":                     good[:strings.LastIndex(good, ".")+1],
			"another signature":              good[:strings.LastIndex(good, ".")+1] + strings.Repeat("A", 86),
			"another header":                 "eyJhbGciOiJFUzI1NiIsImtpZCI6IkVTMjU2In0." + body + "." + signature,
			"no JWT":                         "assertion",
			"a JWT of nothing":               "..",
			"line breaks":                    strings.Replace(good, ".", ".\n", 1),
		} {
			got := k.post(t, asserting(assertion), nil)
			if got.Code != want.Code || got.Body.String() != want.Body.String() {
				t.Errorf("%s: got %d %s, want the same as for a wrong secret: %d %s", what, got.Code, got.Body, want.Code, want.Body)
			}
			if diff := cmp.Diff(want.Header(), got.Header()); diff != "" {
				t.Errorf("%s: headers differ from those for a wrong secret (-want +got):\n%s", what, diff)
			}
		}
		k.token(t, asserting(good)) // none of what was made of it has spent it
	})
}

// A12: whatever else is signed by this client, or by this issuer, is no assertion.
func TestA12_NoOtherClassIsAnAssertion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := settledKit(t)
		for _, typ := range []string{
			"at+jwt", "application/at+jwt", "token-introspection+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "coatcheck-manifest+jwt", "JWS", "nonsense", "application/",
		} {
			wantRefusal(t, "typ "+typ, k.post(t, asserting(assert("typ", typ)), nil), 401, "invalid_client")
		}
		ours := k.jwt(t, k.token(t, shop()).AccessToken, "orders-api")
		wantRefusal(t, "our own access token", k.post(t, asserting(ours), nil), 401, "invalid_client")
	})
}

func TestP1_AnAssertionIsGoodForOneUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := settledKit(t)
		one := assert("jti", "7")
		k.token(t, asserting(one))
		wantRefusal(t, "again", k.post(t, asserting(one), nil), 401, "invalid_client")
		wantRefusal(t, "again, at another endpoint", k.postRevoke(t, asserting(one, "token", "x"), nil), 401, "invalid_client")
		wantRefusal(t, "another assertion of the same jti", k.post(t, asserting(assert("jti", "7")), nil), 401, "invalid_client")
		time.Sleep(69 * time.Second) // to the last moment at which its exp is accepted
		wantRefusal(t, "at its end", k.post(t, asserting(one), nil), 401, "invalid_client")
		if !strings.Contains(k.log.String(), "the assertion was used before") {
			t.Error("the log does not say why")
		}
	})
}

// What a store knew before it was opened anew may be lost: assertions that could be used by then are not let in, and the
// client is told to try again.
func TestP1_AStoreThatWasOpenedAnewForgivesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		early := assert("exp", time.Now().Add(2*time.Minute).Unix())
		for range 16 {
			w := k.post(t, asserting(assert()), nil)
			wantRefusal(t, "right after the opening", w, 503, "temporarily_unavailable")
			if got := w.Header().Get("Retry-After"); got != "15" {
				t.Errorf("Retry-After %q, want 15", got)
			}
			time.Sleep(time.Second)
		}
		wantRefusal(t, "of before the opening", k.post(t, asserting(early), nil), 503, "temporarily_unavailable")
		k.token(t, asserting(assert()))
		k.token(t, shop()) // who has a secret never waits
	})
}

// broken cannot tell.
type broken struct{}

func (broken) Once(context.Context, string, time.Time, time.Time) (bool, error) {
	return false, errors.New("the store is away")
}

func TestP1_AStoreThatCannotTellIs503(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) { c.Names = broken{} })
	wantRefusal(t, "store away", k.post(t, asserting(assert()), nil), 503, "temporarily_unavailable")
	wantRefusal(t, "store away, and a bad signature", k.post(t, asserting(assert()+"A"), nil), 401, "invalid_client")
}

// counted counts questions, and answers them all with yes.
type counted struct{ asked int }

func (c *counted) Once(context.Context, string, time.Time, time.Time) (bool, error) {
	c.asked++
	return true, nil
}

// Nobody but the client itself makes the issuer ask the store, or spends a jti.
func TestP1_TheSignatureComesBeforeTheStore(t *testing.T) {
	t.Parallel()
	names := &counted{}
	k := newKit(t, func(c *Config) { c.Names = names })
	for _, a := range []string{assert() + "A", assert("kid", "EdDSA"), assert("typ", "at+jwt"), assert("sub", "x"), assert("exp", 1), assert("aud", "x"), assert("jti", nil)} {
		k.post(t, asserting(a), nil)
	}
	if names.asked != 0 {
		t.Errorf("assertions that are refused asked the store %d times, want never", names.asked)
	}
	if k.token(t, asserting(assert())); names.asked != 1 {
		t.Errorf("a good one asked %d times, want once", names.asked)
	}
}

func TestP2_AssertionTypeIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := settledKit(t)
		for _, typ := range []string{"", "x", strings.ToUpper(assertionType), assertionType + " ", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"} {
			wantRefusal(t, "type "+typ, k.post(t, asserting(assert(), "client_assertion_type", typ), nil), 401, "invalid_client")
		}
		wantRefusal(t, "a type alone", k.post(t, asserting(""), nil), 401, "invalid_client")
		one := asserting(assert())
		wantRefusal(t, "beside Basic", k.post(t, one, basic("shop", shopSecret)), 400, "invalid_request")
		one.Set("client_secret", shopSecret)
		wantRefusal(t, "beside a secret", k.post(t, one, nil), 400, "invalid_request")
		one.Del("client_secret")
		one.Set("client_id", "shop")
		wantRefusal(t, "beside another client_id", k.post(t, one, nil), 400, "invalid_request")
		one.Set("client_id", "signing")
		k.token(t, one)
	})
}

// An algorithm that the client may not use is refused, also if it has a key for it.
func TestP1_AlgorithmsAreTheClients(t *testing.T) {
	t.Parallel()
	k, err := clients.NewKeys(clients.KeySpec{JWKS: clientJWKS(t, "ES256", "RS256"), Algorithms: []string{"ES256"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Key(t.Context(), "ES256"); err != nil {
		t.Errorf("a key that the client may use: %v", err)
	}
	if _, err := k.Key(t.Context(), "RS256"); !errors.Is(err, verifier.ErrUnknownKey) {
		t.Errorf("a key that the client may not use: %v, want ErrUnknownKey", err)
	}
	for _, alg := range []string{"none", "HS256", "ES384", ""} {
		if _, err := clients.NewKeys(clients.KeySpec{JWKS: clientJWKS(t, "ES256"), Algorithms: []string{alg}}); err == nil {
			t.Errorf("algorithm %q was accepted", alg)
		}
	}
	source := verifier.StaticKeys{"RS256": {ID: "RS256", Algorithm: "RS256", Public: clientPrivateKeys()["RS256"].Public()}}
	_, err = verifier.Signed(t.Context(), source, assert("alg", "ES256", "kid", "RS256"), verifier.Expect{Type: "client-authentication+jwt", Issuer: "signing", Audience: testIssuer}, time.Now())
	if !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("ES256 by a key of RS256: %v, want ErrInvalid", err)
	}
}

// FuzzAssertion: of whatever text, nothing is believed that the client's key has not signed: it is refused in one answer,
// the store is not asked, and reading costs no more than the form may hold.
func FuzzAssertion(f *testing.F) {
	names := &counted{}
	k := newKit(f, func(c *Config) { c.Names = names })
	good := assert()
	for _, seed := range []string{
		good, good + "=", good[1:], strings.Replace(good, ".", "..", 1), "", ".", "..", "a.b.c", "eyJ9.eyJ9.", strings.Repeat(".", 100),
		`eyJhbGciOiJub25lIn0.eyJpc3MiOiJzaWduaW5nIn0.`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == good {
			return
		}
		w := k.post(t, asserting(raw), nil)
		var answer struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 401 && w.Code != 400 && w.Code != 413 {
			t.Errorf("assertion %q: %d %s", raw, w.Code, w.Body)
		}
		if names.asked != 0 {
			t.Errorf("assertion %q, which nobody has signed, asked the store", raw)
		}
	})
}

// FuzzReadAssertion: whatever a client signs, what is accepted is for one use within its bounds.
func FuzzReadAssertion(f *testing.F) {
	now := testNow
	for _, seed := range []string{
		`{"sub":"c","aud":"a","exp":1795435260,"jti":"x"}`, `{"sub":"c","aud":["a"],"exp":1e400,"jti":"x"}`, `[]`, `{}`, `null`,
		`{"sub":"c","aud":"a","exp":1795435260.5,"iat":1795435209,"nbf":-1,"jti":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		said, cause := readAssertion(payload, "c", "a", now)
		if cause != "" {
			return
		}
		if said.id == "" || len(said.id) > maxAssertionID || said.from.After(now) || said.until.Sub(said.from) > maxAssertionLife+assertionSkew {
			t.Errorf("%s: accepted as %+v", payload, said)
		}
	})
}

func TestAssertionNamesDoNotRunTogether(t *testing.T) {
	t.Parallel()
	seen := map[string]url.Values{}
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"a", "b\x00c"}, {"A", "bc"}} {
		name := assertionName(pair[0], pair[1])
		if seen[name] != nil || len(name) != 43 {
			t.Errorf("name of %q is %q, which another pair has", pair, name)
		}
		seen[name] = url.Values{}
	}
}
