package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// manage calls one operation of the admin API, and takes its answer apart.
func (k *kit) manage(t testing.TB, method, path, body string) (int, map[string]any) {
	t.Helper()
	mux := http.NewServeMux()
	for _, o := range k.Operations() {
		mux.Handle(o.Method+" "+o.Path, o.Handle)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader([]byte(body)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, path, w.Code, w.Body, err)
	}
	return w.Code, answer
}

func withAdded(c *Config) { c.ClientStore = c.State.(clients.Store) }

const newShop = `{"id":"new-shop","grant_types":["client_credentials"],"audiences":{"orders-api":["orders:read"]}}`

// A client's life over the admin API: its secret gets a token, is shown once, and gets none when it is disabled, after what
// it held was revoked.
func TestClientsOverTheAdminAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, withAdded)
		status, made := k.manage(t, "POST", "/v1/clients", newShop)
		secret, _ := made["secret"].(string)
		if status != http.StatusOK || len(secret) < 43 {
			t.Fatalf("create: %d %v, want a secret", status, made)
		}
		ask := func(secret string) int {
			if err := k.register.clients.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			return k.post(t, grantOnly(), basic("new-shop", secret)).Code
		}
		if got := ask(secret); got != http.StatusOK {
			t.Errorf("a token for the new client: %d", got)
		}
		_, rotated := k.manage(t, "POST", "/v1/clients/new-shop/rotate", `{"grace":"1h"}`)
		second, _ := rotated["secret"].(string)
		if ask(secret) != http.StatusOK || ask(second) != http.StatusOK {
			t.Error("after a rotation not both secrets get a token")
		}
		for _, path := range []string{"/v1/clients", "/v1/clients/new-shop"} {
			_, shown := k.manage(t, "GET", path, "")
			if text, _ := json.Marshal(shown); strings.Contains(string(text), "sha256") || strings.Contains(string(text), secret) || !strings.Contains(string(text), "new-shop") {
				t.Errorf("GET %s shows %s", path, text)
			}
		}
		k.ended.said()
		if status, answer := k.manage(t, "POST", "/v1/clients/new-shop/disable", ""); status != http.StatusOK {
			t.Errorf("disable: %d %v", status, answer)
		}
		if got := ask(second); got != http.StatusUnauthorized || len(k.ended.said()) == 0 {
			t.Errorf("after disabling: %d, want 401, and what it held revoked", got)
		}
		if _, answer := k.manage(t, "POST", "/v1/clients/new-shop/enable", ""); ask(second) == http.StatusUnauthorized { // nobody reads the log here: a deposit is refused
			t.Errorf("after enabling the client is not let in: %v", answer)
		}
		if status, answer := k.manage(t, "DELETE", "/v1/clients/new-shop", ""); status != http.StatusOK || ask(second) != http.StatusUnauthorized {
			t.Errorf("delete: %d %v, want 200, and then 401", status, answer)
		}
		if strings.Contains(k.log.String(), secret) || strings.Contains(k.log.String(), second) {
			t.Error("the log holds a secret")
		}
	})
}

func TestClientOperationsRefuse(t *testing.T) {
	t.Parallel()
	k := newKit(t, withAdded)
	k.manage(t, "POST", "/v1/clients", newShop)
	for what, row := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"an id that is taken":    {"POST", "/v1/clients", newShop, 409, "conflict"},
		"an id of the file":      {"POST", "/v1/clients", strings.Replace(newShop, "new-shop", "shop", 1), 409, "conflict"},
		"an id with a slash":     {"POST", "/v1/clients", strings.Replace(newShop, "new-shop", "a/b", 1), 400, "invalid_request"},
		"a member that is wrong": {"POST", "/v1/clients", `{"id":"x","grants":[]}`, 400, "invalid_request"},
		"an unknown audience":    {"POST", "/v1/clients", `{"id":"x","audiences":{"nowhere":[]}}`, 400, "invalid_request"},
		"a file client":          {"DELETE", "/v1/clients/shop", "", 409, "conflict"},
		"nobody":                 {"GET", "/v1/clients/nobody", "", 404, "not_found"},
		"a grace without unit":   {"POST", "/v1/clients/new-shop/rotate", `{"grace":"1"}`, 400, "invalid_request"},
		"a query that is wrong":  {"GET", "/v1/clients?page=1", "", 400, "invalid_request"},
	} {
		status, answer := k.manage(t, row.method, row.path, row.body)
		if status != row.status || answer["code"] != row.code || answer["detail"] == "" {
			t.Errorf("%s: %d %v, want %d %s with the mend", what, status, answer, row.status, row.code)
		}
	}
}

// A revocation that fails is told, and the client is let in no more all the same.
func TestADisabledClientStaysOutWhenRevocationFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, withAdded)
		_, made := k.manage(t, "POST", "/v1/clients", newShop)
		secret, _ := made["secret"].(string)
		k.ended.fail(errors.New("the store is away"))
		if status, answer := k.manage(t, "POST", "/v1/clients/new-shop/disable", ""); status != http.StatusServiceUnavailable || answer["code"] != "not_in_force" {
			t.Errorf("disable: %d %v, want 503 not_in_force", status, answer)
		}
		if err := k.register.clients.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := k.post(t, grantOnly(), basic("new-shop", secret)).Code; got != http.StatusUnauthorized {
			t.Errorf("the disabled client asks: %d, want 401", got)
		}
	})
}
