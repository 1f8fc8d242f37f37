package trust_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/issuer/trust"
	"github.com/coatcheck/coatcheck/issuer/trust/trusttest"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

var reserved = []string{"iss", "sub", "aud", "client_id", "scope", "jti", "act", "cnf", "handles"}

func config(idp *trusttest.Issuer) trust.Config {
	return trust.Config{
		Issuer: trusttest.Name, Audience: trusttest.Audience, JWKSURL: idp.URL, Algorithms: []string{"RS256"},
		Types: []string{"JWT"}, Parties: []string{"web"},
		Claims: map[string]string{"tenant": "tenant_id", "roles": "/realm_access/roles", "absent": "nowhere", "url": "https://acme.example/x"},
		MaxAge: time.Hour, Cooldown: time.Second,
	}
}

// eventually asks until the answer is the wanted one: an unknown key is asked for again after the cool-down.
func eventually(t *testing.T, i *trust.Issuer, raw string, want error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if _, err = i.Verify(t.Context(), raw, time.Now()); errors.Is(err, want) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("got %v after 30 s, want %v", err, want)
}

func newIssuer(t testing.TB, c trust.Config) *trust.Issuer {
	t.Helper()
	i, err := trust.New("staff", c, reserved)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAForeignTokenInOurWords(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	expires := time.Now().Add(time.Minute).Truncate(time.Second)
	raw := idp.Token(t, trusttest.Claims("exp", expires.Unix(), "jti", "j-1", "https://acme.example/x", map[string]any{"a": 1},
		"may_act", map[string]any{"sub": "joe"}, "scope", "everything", "client_id", "admin"))
	got, err := newIssuer(t, config(idp)).Verify(t.Context(), raw, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := trust.Assertion{
		Subject: "staff:mary", JTI: "j-1", Expires: expires, MayAct: &trust.Actor{Subject: "staff:joe"},
		Claims: map[string]json.RawMessage{"tenant": json.RawMessage(`"acme"`), "roles": json.RawMessage(`["buyer"]`), "url": json.RawMessage(`{"a":1}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assertion (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotExactlyAsConfiguredIsRefused(t *testing.T) {
	t.Parallel()
	idp, other := trusttest.New(t), trusttest.New(t)
	now := time.Now().Unix()
	long := strings.Repeat("x", 300)
	payload := func(pairs ...any) string {
		text, err := json.Marshal(trusttest.Claims(pairs...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	i := newIssuer(t, config(idp))
	for name, raw := range map[string]string{
		"another issuer":               idp.Token(t, trusttest.Claims("iss", trusttest.Name+"/")),
		"no issuer":                    idp.Token(t, trusttest.Claims("iss", nil)),
		"another audience":             idp.Token(t, trusttest.Claims("aud", "account")),
		"no audience":                  idp.Token(t, trusttest.Claims("aud", nil)),
		"another party":                idp.Token(t, trusttest.Claims("azp", "mobile")),
		"no party":                     idp.Token(t, trusttest.Claims("azp", nil)),
		"a party that is a list":       idp.Token(t, trusttest.Claims("azp", []string{"web"})),
		"expired":                      idp.Token(t, trusttest.Claims("exp", now-1)),
		"no expiry":                    idp.Token(t, trusttest.Claims("exp", nil)),
		"too old":                      idp.Token(t, trusttest.Claims("iat", now-3602)),
		"no iat":                       idp.Token(t, trusttest.Claims("iat", nil)),
		"not yet":                      idp.Token(t, trusttest.Claims("nbf", now+60)),
		"no sub":                       idp.Token(t, trusttest.Claims("sub", nil)),
		"an empty sub":                 idp.Token(t, trusttest.Claims("sub", "")),
		"a sub that is a number":       idp.Token(t, trusttest.Claims("sub", 7)),
		"a sub of two lines":           idp.Token(t, trusttest.Claims("sub", "mary\nroot")),
		"a sub that reads backwards":   idp.Token(t, trusttest.Claims("sub", "mary\u202eroot")),
		"a long sub":                   idp.Token(t, trusttest.Claims("sub", long)),
		"bound to a key":               idp.Token(t, trusttest.Claims("cnf", map[string]any{"jkt": "x"})),
		"made out to an actor":         idp.Token(t, trusttest.Claims("act", map[string]any{"sub": "joe"})),
		"may_act by other claims":      idp.Token(t, trusttest.Claims("may_act", map[string]any{"sub": "joe", "department": 7})),
		"may_act without sub":          idp.Token(t, trusttest.Claims("may_act", map[string]any{"iss": trusttest.Name})),
		"may_act that is a string":     idp.Token(t, trusttest.Claims("may_act", "joe")),
		"too many claims":              idp.Token(t, trusttest.Claims("tenant_id", strings.Repeat("x", trust.MaxClaims))),
		"a token over the limit":       idp.Token(t, trusttest.Claims("x", strings.Repeat("x", trust.MaxToken))),
		"another typ":                  idp.Signed(t, `"typ":"logout+jwt"`, payload()),
		"no typ":                       idp.Signed(t, "", payload()),
		"two typ":                      idp.Signed(t, `"typ":"logout+jwt","typ":"JWT"`, payload()),
		"a crit":                       idp.Signed(t, `"typ":"JWT","crit":["b64"]`, payload()),
		"its own key":                  idp.Signed(t, `"typ":"JWT","jku":"https://evil.example/"`, payload("iss", "https://evil.example")),
		"two sub":                      idp.Signed(t, `"typ":"JWT"`, strings.Replace(payload(), `{`, `{"sub":"root",`, 1)),
		"two sub in different letters": idp.Signed(t, `"typ":"JWT"`, strings.Replace(payload(), `{`, `{"SUB":"root",`, 1)),
		"another's signature":          other.Token(t, trusttest.Claims()),
		"no JWT":                       "cck_nothing",
		"nothing":                      "",
	} {
		if a, err := i.Verify(t.Context(), raw, time.Now()); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("%s: got %v, %v; want %v", name, a, err, verifier.ErrInvalid)
		}
	}
	if got := idp.Fetches.Load(); got > 1 {
		t.Errorf("the key set was fetched %d times for tokens of one key id", got)
	}
}

// An issuer that names no type is pinned to that: a token with one is refused.
func TestUntypedIsATypeToo(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	c := config(idp)
	c.Types = []string{""}
	i := newIssuer(t, c)
	payload, err := json.Marshal(trusttest.Claims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Verify(t.Context(), idp.Signed(t, "", string(payload)), time.Now()); err != nil {
		t.Errorf("without typ: %v", err)
	}
	for _, members := range []string{`"typ":"JWT"`, `"typ":""`, `"typ":7`, `"typ":null`} {
		if _, err := i.Verify(t.Context(), idp.Signed(t, members, string(payload)), time.Now()); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", members, err, verifier.ErrInvalid)
		}
	}
}

func TestMayActOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	i := newIssuer(t, config(idp))
	for iss, want := range map[string]trust.Actor{
		trusttest.Name:             {Subject: "staff:client:shop"},
		"https://auth.example.com": {Subject: "client:shop", Issuer: "https://auth.example.com"},
	} {
		a, err := i.Verify(t.Context(), idp.Token(t, trusttest.Claims("may_act", map[string]any{"iss": iss, "sub": "client:shop"})), time.Now())
		if err != nil || *a.MayAct != want {
			t.Errorf("of %s: got %+v, %v, want %+v", iss, a.MayAct, err, want)
		}
	}
}

func TestWhatCannotBeConfigured(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	for name, change := range map[string]func(*trust.Config){
		"no issuer":                  func(c *trust.Config) { c.Issuer = "" },
		"no audience":                func(c *trust.Config) { c.Audience = "" },
		"no algorithms":              func(c *trust.Config) { c.Algorithms = nil },
		"an HMAC":                    func(c *trust.Config) { c.Algorithms = []string{"RS256", "HS256"} },
		"none":                       func(c *trust.Config) { c.Algorithms = []string{"none"} },
		"no typ":                     func(c *trust.Config) { c.Types = nil },
		"no keys":                    func(c *trust.Config) { c.JWKSURL = "" },
		"two places for keys":        func(c *trust.Config) { c.KeySet = idp.KeySet() },
		"keys of another algorithm":  func(c *trust.Config) { c.JWKSURL, c.KeySet, c.Algorithms = "", idp.KeySet(), []string{"ES256"} },
		"plain http":                 func(c *trust.Config) { c.JWKSURL = "http://idp.example.com/certs" },
		"a long leeway":              func(c *trust.Config) { c.Leeway = time.Minute + 1 },
		"a negative age":             func(c *trust.Config) { c.MaxAge = -1 },
		"a reserved claim":           func(c *trust.Config) { c.Claims = map[string]string{"client_id": "azp"} },
		"a reserved claim in others": func(c *trust.Config) { c.Claims = map[string]string{"\u017fub": "azp"} },
		"two claims in other case":   func(c *trust.Config) { c.Claims = map[string]string{"tenant": "a", "Tenant": "b"} },
		"a path to nowhere":          func(c *trust.Config) { c.Claims = map[string]string{"tenant": "/"} },
		"a broken path":              func(c *trust.Config) { c.Claims = map[string]string{"tenant": "/a~2"} },
	} {
		c := config(idp)
		change(&c)
		if _, err := trust.New("staff", c, reserved); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, alias := range []string{"", "client", "a:b", "Staff", "a/b", strings.Repeat("a", 33)} {
		if _, err := trust.New(alias, config(idp), reserved); err == nil {
			t.Errorf("alias %q: accepted", alias)
		}
	}
}

// Whatever the key set does, a token is either good, or bad, or cannot be told; the third is never one of the others.
func TestKeySetsThatRotateAndFail(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
				return
			}
		}
	}
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	garbage := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[{"kty":`)) }
	private := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA","kid":"key-1","d":"AQAB","n":"AQAB","e":"AQAB"}]}`))
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }
	for name, answer := range map[string]http.HandlerFunc{
		"endless": endless, "slow": slow, "garbage": garbage, "private keys": private, "a redirect": elsewhere,
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := trusttest.New(t)
			i := newIssuer(t, config(idp))
			idp.Answer(answer)
			if _, err := i.Verify(t.Context(), idp.Token(t, trusttest.Claims()), time.Now()); !errors.Is(err, verifier.ErrKeysUnavailable) {
				t.Errorf("got %v, want %v", err, verifier.ErrKeysUnavailable)
			}

			// One that has answered before goes on with the keys that it had.
			idp = trusttest.New(t)
			i = newIssuer(t, config(idp))
			if _, err := i.Verify(t.Context(), idp.Token(t, trusttest.Claims()), time.Now()); err != nil {
				t.Fatal(err)
			}
			idp.Answer(answer)
			if _, err := i.Verify(t.Context(), idp.Token(t, trusttest.Claims()), time.Now()); err != nil {
				t.Errorf("with the keys that were there: %v", err)
			}
			idp.Rotate(t)
			eventually(t, i, idp.Token(t, trusttest.Claims()), verifier.ErrKeysUnavailable)
		})
	}
	t.Run("rotation", func(t *testing.T) {
		t.Parallel()
		idp := trusttest.New(t)
		i := newIssuer(t, config(idp))
		old := idp.Token(t, trusttest.Claims())
		for range 2 {
			if _, err := i.Verify(t.Context(), old, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		idp.Rotate(t)
		eventually(t, i, idp.Token(t, trusttest.Claims()), nil)
		if _, err := i.Verify(t.Context(), old, time.Now()); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("with a key that is no longer published: got %v, want %v", err, verifier.ErrInvalid)
		}
	})
}
