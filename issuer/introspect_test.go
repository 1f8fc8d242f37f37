package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/google/go-cmp/cmp"
)

func TestI1_TheCallerProvesWhoHeIs(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	jwt := k.jwt(t, live, "orders-api")
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	token := url.Values{"token": {live}}
	public := url.Values{"token": {live}, "client_id": {"public"}}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"no credentials":             k.postIntrospect(t, token, nil),
		"a public client":            k.postIntrospect(t, public, nil),
		"wrong secret":               k.postIntrospect(t, token, basic("orders", "wrong-secret-wrong-secret")),
		"the token as its own proof": k.postIntrospect(t, token, bearer(live)),
		"its JWT as the proof":       k.postIntrospect(t, token, bearer(jwt)),
		"secret in the query":        k.sendIntrospect(t, http.MethodPost, token.Encode(), nil),
	} {
		wantRefusal(t, name, w, http.StatusUnauthorized, "invalid_client")
	}
	wantRefusal(t, "a client that serves nothing", k.ask(t, "single", live, ""), http.StatusForbidden, "unauthorized_client")
	if got := k.told(t, "orders", live); got["active"] != true {
		t.Errorf("the service that the token is for: %v, want active", got)
	}
}

func TestI2_AFormByPost(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		if w := k.sendIntrospect(t, method, "token="+live, basic("orders", shopSecret)); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: got %d, Allow %q; want 405, POST", method, w.Code, w.Header().Get("Allow"))
		}
	}
	wantRefusal(t, "no token", k.postIntrospect(t, url.Values{}, basic("orders", shopSecret)), http.StatusBadRequest, "invalid_request")
	wantRefusal(t, "an empty token", k.ask(t, "orders", "", ""), http.StatusBadRequest, "invalid_request")
	wantRefusal(t, "two tokens", k.ask(t, "orders", live, "", "token", live), http.StatusBadRequest, "invalid_request")
	h := basic("orders", shopSecret)
	h.Set("Content-Type", "application/json")
	wantRefusal(t, "JSON", k.sendIntrospect(t, http.MethodPost, `{"token":"x"}`, h), http.StatusUnsupportedMediaType, "invalid_request")
	for _, hint := range []string{"access_token", "refresh_token", "urn:nobody:knows"} {
		if got := k.told(t, "orders", live, "token_type_hint", hint); got["active"] != true {
			t.Errorf("hint %s: %v, want active", hint, got)
		}
	}
}

func TestI3_OneAnswerForEveryTokenThatIsNotActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		expired := k.token(t, shop("client_id", "single")).AccessToken
		expiredJWT := k.jwt(t, expired, "orders-api")
		time.Sleep(2 * time.Minute)
		if err := k.keeper.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		live := k.token(t, both()).AccessToken
		billing := k.token(t, shop("audience", "billing-api")).AccessToken
		revoked := k.token(t, shop()).AccessToken
		revokedJWT := k.jwt(t, revoked, "orders-api")
		wantRevoked(t, "revoke", k.postRevoke(t, revocationOf(revoked), nil))
		now := time.Now().Unix()
		for name, token := range map[string]string{
			"junk":                     "x",
			"dots":                     "..",
			"unknown":                  k.stamper.New().Reveal(),
			"forged":                   live[:len(live)-8] + "AAAAAAAA",
			"expired":                  expired,
			"JWT of an expired grant":  expiredJWT,
			"revoked":                  revoked,
			"JWT of a revoked grant":   revokedJWT,
			"for another service":      billing,
			"JWT for another service":  k.jwt(t, live, "billing-api"),
			"JWT without a grant":      k.signed(t, tokenType, claimsOf("shop")),
			"JWT that does not begin":  k.signed(t, tokenType, claimsOf("shop", "nbf", now+30)),
			"manifest":                 k.signed(t, exchange.ManifestType, claimsOf("shop")),
			"refresh token, by prefix": "cckr_" + live[4:],
		} {
			wantInactive(t, name, k.ask(t, "orders", token, ""))
		}
		if got := k.told(t, "orders", live)["active"]; got != true {
			t.Errorf("active is %v (%T), want the boolean true", got, got)
		}
	})
}

// A service learns what its own JWT says, and nothing that another service's says.
func TestI4_EachServiceLearnsItsOwnShare(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, both()).AccessToken
	for client, audience := range map[string]string{"orders": "orders-api", "billing": "billing-api"} {
		jwt := k.jwt(t, live, audience)
		_, want := decoded(t, jwt)
		want["active"], want["token_type"] = true, "Bearer"
		for what, token := range map[string]string{"reference": live, "JWT": jwt} {
			if diff := cmp.Diff(want, k.told(t, client, token)); diff != "" {
				t.Errorf("%s asks about the %s (-its JWT's claims +answer):\n%s", client, what, diff)
			}
		}
	}
	wantInactive(t, "the JWT of billing, asked about by orders", k.ask(t, "orders", k.jwt(t, live, "billing-api"), ""))
	wantInactive(t, "a token for neither", k.ask(t, "shop", live, ""))

	several := func(pairs ...string) *httptest.ResponseRecorder { return k.ask(t, "both-services", live, "", pairs...) }
	wantRefusal(t, "a service of both that says neither", several(), http.StatusBadRequest, "invalid_request")
	wantRefusal(t, "one that it does not serve", several("audience", "secret-api"), http.StatusBadRequest, "invalid_target")
	wantRefusal(t, "a resource that is unknown", several("resource", "https://nobody.example"), http.StatusBadRequest, "invalid_target")
	for name, pairs := range map[string][]string{"orders-api": {"resource", "https://orders.example.com"}, "billing-api": {"audience", "billing-api"}} {
		if got := k.told(t, "both-services", live, pairs...); got["aud"] != name {
			t.Errorf("asked as %v: aud %v, want %s", pairs, got["aud"], name)
		}
	}
	only := k.token(t, shop("audience", "billing-api")).AccessToken
	if got := k.told(t, "both-services", only); got["aud"] != "billing-api" {
		t.Errorf("a service of both, about a token for one: aud %v, want billing-api", got["aud"])
	}
}

// Each row breaks one thing that has to hold, and all else holds.
func TestI5_ActiveMeansThatAllHolds(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	_, good := decoded(t, k.jwt(t, live, "orders-api"))
	with := func(pairs ...any) map[string]any {
		c := map[string]any{}
		for name, v := range good {
			c[name] = v
		}
		for n := 0; n < len(pairs); n += 2 {
			c[pairs[n].(string)] = pairs[n+1]
		}
		return c
	}
	now := time.Now().Unix()
	if w := k.ask(t, "orders", k.signed(t, tokenType, with()), ""); !strings.Contains(w.Body.String(), `"active":true`) {
		t.Fatalf("signed anew as it was: %s, want it active: the rows below prove nothing", w.Body)
	}
	other := newKit(t) // another ring
	jwt := k.signed(t, tokenType, with())
	for name, token := range map[string]string{
		"signature of another":     other.signed(t, tokenType, with()),
		"signature changed":        jwt[:len(jwt)-8] + "AAAAAAAA",
		"expired":                  k.signed(t, tokenType, with("exp", now-1)),
		"not yet":                  k.signed(t, tokenType, with("nbf", now+30)),
		"another issuer":           k.signed(t, tokenType, with("iss", "https://evil.example")),
		"another audience":         k.signed(t, tokenType, with("aud", "billing-api")),
		"several audiences":        k.signed(t, tokenType, with("aud", []string{"orders-api"})),
		"another class":            k.signed(t, "JWT", with()),
		"an introspection answer":  k.signed(t, introspectionType, with()),
		"a grant that nobody has":  k.signed(t, tokenType, with("jti", "00112233445566778899aabbccddeeff")),
		"a jti that is none":       k.signed(t, tokenType, with("jti", "x")),
		"longer than its grant":    k.signed(t, tokenType, with("exp", now+3600)),
		"handles of another grant": k.signed(t, tokenType, with("handles", map[string]string{"client": "a", "family": "b", "subject": "c"})),
	} {
		wantInactive(t, name, k.ask(t, "orders", token, ""))
	}
	k.order(t, `{"client":"shop"}`)
	for name, token := range map[string]string{"reference": live, "JWT": jwt} {
		wantInactive(t, "revoked by its client, "+name, k.ask(t, "orders", token, ""))
	}
}

func TestI6_NothingIsKeptBeyondItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		live := k.token(t, shop("client_id", "single")).AccessToken // for a minute
		for range 61 {
			if err := k.keeper.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, accept := range []string{"", string(asSigned)} {
				w := k.ask(t, "orders", live, accept)
				if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != "no-store" {
					t.Fatalf("Accept %q: %d with Cache-Control %q, want 200 with no-store", accept, w.Code, got)
				}
			}
			w := k.ask(t, "orders", live, string(asBare))
			keep := w.Header().Get("Cache-Control")
			switch w.Code {
			case http.StatusNoContent:
				if keep != "no-store" {
					t.Fatalf("204 with Cache-Control %q, want no-store", keep)
				}
			case http.StatusOK:
				// Who reads max-age alone keeps it for a second, in which it must not end.
				_, c := decoded(t, w.Body.String())
				if left := time.Until(time.Unix(int64(c["exp"].(float64)), 0)); keep != "no-store, max-age=1" || left < time.Second {
					t.Fatalf("Cache-Control %q %v before the end, want no-store, max-age=1 and a second at least", keep, left)
				}
			}
			time.Sleep(999 * time.Millisecond)
		}
		wantInactive(t, "at its end", k.ask(t, "orders", live, ""))
	})
}

func TestI7_ABadTokenIsNoBadRequest(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, token := range []string{"x", "..", "a.b.c", strings.Repeat("A", 4000), "ünïcode", "\x00", "cck_", "%"} {
		wantInactive(t, token, k.ask(t, "orders", token, ""))
		w := k.postIntrospect(t, url.Values{"token": {token}}, basic("orders", "wrong-secret-wrong-secret"))
		wantRefusal(t, token+" from a stranger", w, http.StatusUnauthorized, "invalid_client")
		if got := w.Header().Get("WWW-Authenticate"); got != basicChallenge {
			t.Errorf("%q: WWW-Authenticate %q, want %q", token, got, basicChallenge)
		}
	}
}

func TestIntrospectionApart(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) { c.Internal = true })
	live := k.token(t, shop()).AccessToken
	wantRefusal(t, "on the public listener", k.ask(t, "orders", live, ""), http.StatusNotFound, "invalid_request")
	var m map[string]any
	if err := json.Unmarshal(k.get(t, k.place.metadataPath(), nil).Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	for member := range m {
		if strings.HasPrefix(member, "introspection_") {
			t.Errorf("the metadata have %s, and outside there is no such endpoint", member)
		}
	}
	inside := func(method, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(url.Values{"token": {live}}.Encode()))
		r.Header = basic("orders", shopSecret)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		k.Internal().ServeHTTP(w, r)
		return w
	}
	if w := inside(http.MethodPost, k.place.introspectPath()); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"active":true`) {
		t.Errorf("inside: got %d %s, want active", w.Code, w.Body)
	}
	wantRefusal(t, "GET inside", inside(http.MethodGet, k.place.introspectPath()), http.StatusMethodNotAllowed, "invalid_request")
	for _, path := range []string{k.place.tokenPath(), k.place.revokePath(), k.place.jwksPath(), k.place.metadataPath(), "/"} {
		wantRefusal(t, path+" inside", inside(http.MethodPost, path), http.StatusNotFound, "invalid_request")
	}
}

// No claim can stand where an answer says whether a token is active.
func TestClaimsCannotSpeakForAnAnswer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"active", "Active", "token_type", "origin"} {
		c := testConfig(t)
		c.Clients = map[string]clients.Client{"shop": {Secret: hashed(t, shopSecret), Claims: map[string]any{name: false}}}
		if _, err := newRegister(c.withDefaults(), nil); err == nil {
			t.Errorf("claim %s is accepted", name)
		}
	}
	s := standing{jti: "x", claims: json.RawMessage(`{"active":false,"token_type":"none","origin":"sealed","sub":"a"}`)}
	got, err := s.members()
	if want := `{"active":true,"sub":"a","token_type":"Bearer"}`; err != nil || string(got) != want {
		t.Errorf("members: %s, %v; want %s", got, err, want)
	}
}
