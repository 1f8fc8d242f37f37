package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/keyring"
)

func TestT10_NothingIsKept(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	get := httptest.NewRequestWithContext(t.Context(), http.MethodGet, k.place.tokenPath(), nil)
	wrongMethod := httptest.NewRecorder()
	k.Handler().ServeHTTP(wrongMethod, get)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"token":         k.post(t, shop(), nil),
		"invalid scope": k.post(t, shop("scope", "nope"), nil),
		"wrong secret":  k.post(t, grantOnly(), basic("shop", "wrong")),
		"wrong type":    k.send(t, "", http.Header{"Content-Type": {"text/plain"}}),
		"wrong method":  wrongMethod,
		"no such path":  k.get(t, "/nowhere", nil),
	} {
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
}

func TestT14_DescriptionsHoldOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	nasty := "\"quote\" \\ back\r\nSet-Cookie: a=b \x00\x1b[31m ümläut 🧥 <script> \u2028" + strings.Repeat("x", 1000)
	for _, name := range []string{"grant_type", "client_id", "client_secret", "scope", "audience", "resource", "refresh_token", "client_assertion"} {
		f := shop(name, nasty)
		for _, form := range []url.Values{f, {name: {nasty, nasty}}} {
			w := k.post(t, form, nil)
			var body struct {
				Description string `json:"error_description"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("%s: %q is not JSON: %v", name, w.Body, err)
			}
			if w.Code == http.StatusOK {
				continue // refresh_token is not looked at
			}
			if len(body.Description) > maxDescription {
				t.Errorf("%s: description has %d bytes, at most %d", name, len(body.Description), maxDescription)
			}
			for _, c := range []byte(body.Description) {
				if c < 0x20 || c == '"' || c == '\\' || c > 0x7e {
					t.Errorf("%s: description %q holds %q", name, body.Description, c)
				}
			}
			if len(w.Header()) > 6 || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s: headers %v", name, w.Header())
			}
		}
	}
}

func TestT18_NoAnswerIsARedirect(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.place.tokenPath()
	for _, path := range []string{
		token, token + "/", "/" + token, strings.Replace(token, "/oauth2", "//oauth2", 1), "/tenants/./one/oauth2/token",
		"/tenants/x/../one/oauth2/token", "/tenants/one/oauth2%2Ftoken", "/tenants/one/%6fauth2/token", strings.ToUpper(token),
		"/oauth2/token", "/", "", "/tenants/one", "/tenants/one/", "//evil.example/oauth2/token",
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut} {
			r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(shop().Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			u, err := url.ParseRequestURI("http://host" + path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
			w := httptest.NewRecorder()
			k.Handler().ServeHTTP(w, r)
			exact := path == token
			switch {
			case w.Code >= 300 && w.Code < 400, w.Header().Get("Location") != "":
				t.Errorf("%s %s: %d, Location %q: a redirect", method, path, w.Code, w.Header().Get("Location"))
			case exact && method == http.MethodPost && w.Code != http.StatusOK:
				t.Errorf("%s %s: %d %s, want 200", method, path, w.Code, w.Body)
			case !exact && w.Code != http.StatusNotFound:
				t.Errorf("%s %s: %d, want 404: an endpoint has one spelling", method, path, w.Code)
			}
		}
	}
}

// failing is a depositor whose store is in trouble; references are still real.
type failing struct {
	depositor
	err error
}

func (f failing) Deposit(context.Context, exchange.Reference, exchange.Deposit) error { return f.err }

func TestTroubleOfTheStore(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{exchange.ErrQuota, 429, "temporarily_unavailable", "19"},
		{exchange.ErrUnavailable, 503, "temporarily_unavailable", "2"},
		{exchange.ErrTooLarge, 400, "invalid_target", ""},
		{errors.New("a bug"), 500, "server_error", ""},
	} {
		k := newKit(t)
		k.depositor = failing{k.depositor, fmt.Errorf("deposit: %w", row.err)}
		w := k.post(t, shop(), nil)
		wantRefusal(t, row.err.Error(), w, row.status, row.code)
		if got := w.Header().Get("Retry-After"); got != row.retry {
			t.Errorf("%v: Retry-After %q, want %q", row.err, got, row.retry)
		}
	}
}

// A quota is one client's trouble and nobody else's.
func TestQuotaIsPerClient(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) {
		shop := c.Clients["shop"]
		shop.MaxGrants = 2
		c.Clients["shop"] = shop
	})
	k.token(t, shop())
	k.token(t, shop())
	w := k.post(t, shop(), nil)
	wantRefusal(t, "third grant of two", w, 429, "temporarily_unavailable")
	if w.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	k.token(t, shop("client_id", "single"))
}

func TestWithoutKeyRingThereIsNoToken(t *testing.T) {
	t.Parallel()
	k := buildKit(t, newKit(t).store)
	if err := k.Ready(); !errors.Is(err, keyring.ErrNoRing) {
		t.Errorf("Ready() = %v, want %v", err, keyring.ErrNoRing)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"token": k.post(t, shop(), nil), "JWKS": k.get(t, k.place.jwksPath(), nil),
	} {
		wantRefusal(t, name, w, 503, "temporarily_unavailable")
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", name)
		}
	}
}

type panicking struct{ depositor }

func (panicking) Deposit(context.Context, exchange.Reference, exchange.Deposit) error {
	panic("value-with-" + shopSecret)
}

func TestPanicIsA500ThatSaysNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.depositor = panicking{k.depositor}
	w := k.post(t, shop(), nil)
	wantRefusal(t, "panic", w, 500, "server_error")
	if body := w.Body.String(); body != `{"error":"server_error"}` {
		t.Errorf("body %s, want the code alone", body)
	}
	if log := k.log.String(); strings.Contains(log, shopSecret) || !strings.Contains(log, `"msg":"panic"`) {
		t.Errorf("log does not tell the panic, or tells its value:\n%s", log)
	}
}

// A client whose configured claims are too long gets no token, and the operator learns why.
func TestTokenOverFourKiB(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) {
		shop := c.Clients["shop"]
		shop.Claims = map[string]any{"long": strings.Repeat("x", exchange.MaxToken)}
		c.Clients["shop"] = shop
	})
	wantRefusal(t, "JWT over 4 KiB", k.post(t, shop(), nil), 500, "server_error")
	if log := k.log.String(); !strings.Contains(log, "client shop, audience orders-api") || !strings.Contains(log, "shorten the client's claims") {
		t.Errorf("log does not say which client, and what to do:\n%s", log)
	}
}
