package issuer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// signedAnswer verifies a signed introspection answer as RFC 9701 §5 wants it from the caller, and returns its claims.
func (k *kit) signedAnswer(t testing.TB, client, token string) map[string]any {
	t.Helper()
	w := k.ask(t, client, token, string(asSigned))
	if kind := w.Header().Get("Content-Type"); w.Code != http.StatusOK || kind != string(asSigned) {
		t.Fatalf("introspect as %s: got %d %s %s, want 200 %s", client, w.Code, kind, w.Body, asSigned)
	}
	raw := w.Body.String()
	// The answer has no exp, which Signed requires of what it takes for a token; so the signature alone is checked.
	header, claims := decoded(t, raw)
	key, err := k.Keys().Key(t.Context(), header["kid"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if header["typ"] != introspectionType || header["alg"] != key.Algorithm {
		t.Errorf("header %v, want typ %s and the algorithm of the key, %s", header, introspectionType, key.Algorithm)
	}
	wantSignature(t, raw, key)
	return claims
}

// wantSignature checks a JWS by a published key.
func wantSignature(t testing.TB, raw string, key verifier.Key) {
	t.Helper()
	at := strings.LastIndexByte(raw, '.')
	signature, err := base64.RawURLEncoding.DecodeString(raw[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := jwt.GetSigningMethod(key.Algorithm).Verify(raw[:at], signature, key.Public); err != nil {
		t.Errorf("signature of %s: %v", raw, err)
	}
}

// fetch sends a request over the network and reads the answer whole.
func fetch(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w, string(body)
}

func TestJ1_ASignedAnswerForTheCaller(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, both()).AccessToken
	for name, row := range map[string]struct{ client, token string }{
		"active":              {"orders", live},
		"not active":          {"orders", "x"},
		"for another service": {"shop", live},
	} {
		claims := k.signedAnswer(t, row.client, row.token)
		if claims["iat"] == nil {
			t.Errorf("%s: no iat in %v", name, claims)
		}
		delete(claims, "iat")
		want := map[string]any{"iss": testIssuer, "aud": row.client, "token_introspection": k.told(t, row.client, row.token)}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestJ2_ASignedAnswerIsNoToken(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	claims := k.signedAnswer(t, "orders", live)
	for _, name := range []string{"sub", "exp", "scope", "client_id", "jti"} {
		if v, has := claims[name]; has {
			t.Errorf("the answer has %s %v of its own", name, v)
		}
	}
	raw := k.ask(t, "orders", live, string(asSigned)).Body.String()
	for _, audience := range []string{"orders", "orders-api"} {
		v, err := verifier.New(testIssuer, audience, verifier.Config{Keys: k.Keys()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("verifier for %s: %v, want it refused", audience, err)
		}
	}
	// And a token is no answer, even one that has everything that an answer has.
	_, c := decoded(t, k.jwt(t, live, "orders-api"))
	c["token_introspection"] = map[string]any{"active": true}
	token := k.signed(t, tokenType, c)
	expect := verifier.Expect{Type: introspectionType, Issuer: testIssuer, Audience: "orders-api"}
	if _, err := verifier.Signed(t.Context(), k.Keys(), token, expect, testNow); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("a token where an answer is expected: %v, want it refused", err)
	}
	wantInactive(t, "an answer asked about as if it were a token", k.ask(t, "orders", raw, ""))
}

func TestJ3_OnlyAServiceThatTheTokenIsFor(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken // for orders
	h := basic("orders", "wrong-secret-wrong-secret")
	h.Set("Accept", string(asSigned))
	wantRefusal(t, "a stranger", k.postIntrospect(t, shop("token", live, "client_id", "", "client_secret", ""), h), http.StatusUnauthorized, "invalid_client")
	got := k.signedAnswer(t, "billing", live)["token_introspection"]
	if diff := cmp.Diff(map[string]any{"active": false}, got); diff != "" {
		t.Errorf("billing, about a token for orders (-want +got):\n%s", diff)
	}
}

func TestJ4_AlwaysSignedAndTheMetadataSayHow(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var m struct {
		Algorithms []string `json:"introspection_signing_alg_values_supported"`
	}
	if err := json.Unmarshal(k.get(t, k.place.metadataPath(), nil).Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"x", k.token(t, shop()).AccessToken} {
		header, _ := decoded(t, k.ask(t, "orders", token, string(asSigned)).Body.String())
		if diff := cmp.Diff(m.Algorithms, []string{header["alg"].(string)}); diff != "" || header["alg"] == "none" {
			t.Errorf("signed with %v; in the metadata %v", header["alg"], m.Algorithms)
		}
	}
}

// The requests are those of the nginx module and of the Lua plugin (Kong, OpenResty, APISIX) for phantom tokens, field by field:
// id and secret are joined as they are, the token is not encoded, there is nothing beside it. How they read the answer
// is in the checks.
func TestJ5_PhantomTokenPlugins(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("claim ", 400)
	k := newKit(t, func(c *Config) {
		c.Clients["long"] = clients.Client{
			Secret: hashed(t, shopSecret), GrantTypes: []string{"client_credentials"},
			Audiences: map[string][]string{"orders-api": nil}, Claims: map[string]any{"long": long},
		}
	})
	server := httptest.NewServer(k.Handler())
	t.Cleanup(server.Close)
	ask := func(token, secret string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+k.place.introspectPath(), strings.NewReader("token="+token))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("orders", secret)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/jwt")
		r.Header.Set("Cookie", "session=of-the-caller") // nginx passes on what the caller sent
		return fetch(t, r)
	}

	for name, id := range map[string]string{"a token": "shop", "a token of 3 KiB": "long"} {
		live := k.token(t, shop("client_id", id)).AccessToken
		w, body := ask(live, shopSecret)
		if want := k.jwt(t, live, "orders-api"); w.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: got %d %s, want 200 and the JWT %s", name, w.StatusCode, body, want)
		}
		if kind := w.Header.Get("Content-Type"); kind != "application/jwt" {
			t.Errorf("%s: Content-Type %q, want application/jwt", name, kind)
		}
		// nginx speaks HTTP/1.0 to it and takes the length from here alone.
		if got := w.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
			t.Errorf("%s: Content-Length %q, want %d", name, got, len(body))
		}
		// The plugin looks for max-age=N, and without one, or with 0, takes its own default of five minutes.
		if keep := w.Header.Get("Cache-Control"); keep != "no-store, max-age=1" {
			t.Errorf("%s: Cache-Control %q, want no-store, max-age=1", name, keep)
		}
		k.verified(t, body, "orders-api")
	}
	w, body := ask("x", shopSecret)
	if w.StatusCode != http.StatusNoContent || body != "" || w.Header.Get("Content-Type") != "" || w.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("not active: got %d %q, Content-Type %q, Cache-Control %q; want 204 and nothing, no-store",
			w.StatusCode, body, w.Header.Get("Content-Type"), w.Header.Get("Cache-Control"))
	}
	if w, _ := ask("x", "wrong"); w.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong secret: got %d, want 401", w.StatusCode)
	}
	if w := k.ask(t, "single", "x", string(asBare)); w.Code != http.StatusForbidden {
		t.Errorf("a client that is no service: got %d, want 403", w.Code)
	}
}

// What is encrypted to a service is not read here either: JSON has what the manifest says, and the token itself is handed on
// as it is. The service that has opened it may ask about what was inside.
func TestIntrospectionOfEncryptedTokens(t *testing.T) {
	t.Parallel()
	k := newKit(t, sealedTo(t, "billing-api", "", billingKey().Public()))
	live := k.token(t, both()).AccessToken
	got := k.told(t, "billing", live)
	if got["exp"] == nil || got["jti"] != k.jti(t, live) {
		t.Errorf("exp %v, jti %v; want those of the grant", got["exp"], got["jti"])
	}
	delete(got, "exp")
	delete(got, "jti")
	want := map[string]any{
		"active": true, "token_type": "Bearer", "iss": testIssuer, "aud": "billing-api", "client_id": "shop", "scope": "invoices:read",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("billing is told (-want +got):\n%s", diff)
	}
	w := k.ask(t, "billing", live, string(asBare))
	if sealed := k.jwt(t, live, "billing-api"); w.Body.String() != sealed {
		t.Errorf("the token itself: got %d %s, want %s", w.Code, w.Body, sealed)
	}
	if _, err := k.opening(t, "billing-api", billingKey()).Verify(t.Context(), w.Body.String()); err != nil {
		t.Errorf("billing opens it: %v", err)
	}
	wantInactive(t, "the token as it was encrypted", k.ask(t, "billing", w.Body.String(), ""))
}

// No service has any business with a refresh token, also one whose references are for it.
func TestRefreshTokensAreNotIntrospected(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	if k.told(t, "orders", first.AccessToken)["active"] != true {
		t.Error("the reference beside it: want active")
	}
	wantInactive(t, "a live refresh token", k.ask(t, "orders", first.RefreshToken, "", "token_type_hint", "refresh_token"))
}
