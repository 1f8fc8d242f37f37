package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// postIntrospect sends a form to the introspection endpoint; headers may be nil.
func (k *kit) postIntrospect(t testing.TB, f url.Values, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return k.sendIntrospect(t, http.MethodPost, f.Encode(), h)
}

func (k *kit) sendIntrospect(t testing.TB, method, body string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return k.sendForm(t, method, k.place.introspectPath(), body, h)
}

// ask asks about a token as a client, by Basic; accept may be empty, pairs add to the form.
func (k *kit) ask(t testing.TB, client, token, accept string, pairs ...string) *httptest.ResponseRecorder {
	t.Helper()
	h := basic(client, shopSecret)
	if accept != "" {
		h.Set("Accept", accept)
	}
	f := url.Values{"token": {token}}
	for n := 0; n < len(pairs); n += 2 {
		f.Add(pairs[n], pairs[n+1])
	}
	return k.postIntrospect(t, f, h)
}

// told is what a service is told in JSON; anything but a 200 ends the test.
func (k *kit) told(t testing.TB, client, token string, pairs ...string) map[string]any {
	t.Helper()
	w := k.ask(t, client, token, "", pairs...)
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK {
		t.Fatalf("introspect as %s: got %d %s, want a 200 in JSON", client, w.Code, w.Body)
	}
	return m
}

const inactive = `{"active":false}`

// wantInactive checks that an answer is the one answer about every token that is not active.
func wantInactive(t testing.TB, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusOK || w.Body.String() != inactive {
		t.Errorf("%s: got %d %s, want 200 %s", what, w.Code, w.Body, inactive)
	}
	if kind, keep := w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"); kind != "application/json" || keep != "no-store" {
		t.Errorf("%s: Content-Type %q, Cache-Control %q; want application/json, no-store", what, kind, keep)
	}
}

// both is a token of the shop for orders and billing.
func both() url.Values {
	f := shop("audience", "orders-api")
	f.Add("audience", "billing-api")
	return f
}
