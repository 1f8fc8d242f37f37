package issuer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

func TestT2_RepeatedParameterIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, name := range []string{"grant_type", "client_id", "client_secret", "scope", "refresh_token"} {
		for _, second := range []string{"again", ""} {
			f := shop("scope", "orders:read", "refresh_token", "r")
			f.Add(name, second)
			wantRefusal(t, name+" twice, then "+second, k.post(t, f, nil), 400, "invalid_request")
		}
	}
	f := shop()
	f["audience"] = []string{"orders-api", "billing-api", "orders-api"}
	f["resource"] = []string{"https://orders.example.com", "https://orders.example.com"}
	if got := k.token(t, f).Scope; got != "invoices:read orders:read orders:write" {
		t.Errorf("audience and resource repeated: scope %q, want that of both audiences", got)
	}
}

func TestT3_EmptyIsOmittedAndUnknownIsIgnored(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	want := k.token(t, shop()).Scope
	got := k.token(t, shop("scope", "", "audience", "", "resource", "", "client_assertion", "", "nonsense", "1", "Scope", "secrets:read")).Scope
	if got != want {
		t.Errorf("empty and unknown parameters: scope %q, want %q as without them", got, want)
	}
	f := shop()
	f.Set("client_secret", "")
	wantRefusal(t, "empty secret", k.post(t, f, nil), 401, "invalid_client")
	f = shop("grant_type", "")
	wantRefusal(t, "empty grant_type", k.post(t, f, nil), 400, "invalid_request")
}

func TestT4_BodyMustBeABoundedForm(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	good := shop().Encode()
	for _, row := range []struct {
		name, kind, body string
		status           int
	}{
		{"JSON", "application/json", `{"grant_type":"client_credentials"}`, 415},
		{"multipart", "multipart/form-data; boundary=x", "--x--", 415},
		{"missing type", "", good, 415},
		{"malformed type", "application/x-www-form-urlencoded; =", good, 415},
		{"almost the type", "application/x-www-form-urlencoded-not", good, 415},
		{"type with charset", "application/x-www-form-urlencoded; charset=UTF-8", good, 200},
		{"type in capitals", "Application/X-WWW-Form-Urlencoded", good, 200},
		{"body at the cap", "application/x-www-form-urlencoded", padded(good, maxForm), 200},
		{"body over the cap", "application/x-www-form-urlencoded", padded(good, maxForm+1), 413},
		{"32 parameters", "application/x-www-form-urlencoded", good + parameters(maxParameters-3), 200},
		{"33 parameters", "application/x-www-form-urlencoded", good + parameters(maxParameters-2), 400},
		{"long name", "application/x-www-form-urlencoded", good + "&" + strings.Repeat("n", maxName+1) + "=1", 400},
		{"long value", "application/x-www-form-urlencoded", good + "&v=" + strings.Repeat("n", maxValue+1), 400},
		{"bad escape", "application/x-www-form-urlencoded", good + "&v=%zz", 400},
		{"semicolon", "application/x-www-form-urlencoded", good + ";v=1", 400},
		{"empty", "application/x-www-form-urlencoded", "", 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, k.place.tokenPath(), strings.NewReader(row.body))
		r.Header.Set("Content-Type", row.kind)
		w := httptest.NewRecorder()
		k.Handler().ServeHTTP(w, r)
		if w.Code != row.status {
			t.Errorf("%s: got %d %s, want %d", row.name, w.Code, w.Body, row.status)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, k.place.tokenPath(), iotest.ErrReader(http.ErrBodyReadAfterClose))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	wantRefusal(t, "body that breaks off", w, 400, "invalid_request")
}

// padded fills a body up to size with parameters that mean nothing.
func padded(body string, size int) string {
	for n := 0; len(body) < size; n++ {
		part := "&pad" + string(rune('a'+n)) + "="
		body += part + strings.Repeat("x", min(maxValue, max(0, size-len(body)-len(part))))
	}
	return body[:size]
}

// parameters are n that mean nothing, to be put behind a form.
func parameters(n int) string {
	var b strings.Builder
	for ; n > 0; n-- {
		fmt.Fprintf(&b, "&p%d=x", n)
	}
	return b.String()
}

// FuzzForm: whatever is sent, what comes out is within the bounds and agrees with the standard library, and what
// goes in as an ordinary form comes out as it was.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "a=b", "a=b&a=c", "audience=x&audience=y", "scope=a+b&x=%41", "%zz", "a;b", "&&&", "=v", "a=%00%ff",
		strings.Repeat("a&", 40), shop("scope", "orders:read").Encode(),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, no := parseForm(body)
		if no != nil {
			if status, _ := no.outcome.answer(); status != 400 {
				t.Fatalf("parseForm(%q) refused with %d, want 400", body, status)
			}
			return
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("parseForm(%q) accepted what is malformed: %v", body, err)
		}
		for name, values := range got {
			if len(values) > 1 && name != "audience" && name != "resource" {
				t.Errorf("parseForm(%q)[%q] = %q: repeated", body, name, values)
			}
			if len(name) > maxName || len(got) > maxParameters {
				t.Errorf("parseForm(%q): over its bounds", body)
			}
			for _, v := range values {
				if v == "" || len(v) > maxValue {
					t.Errorf("parseForm(%q)[%q] holds a value of %d bytes", body, name, len(v))
				}
			}
			if len(values) == 1 && len(want[name]) == 1 && values[0] != want[name][0] {
				t.Errorf("parseForm(%q)[%q] = %q, want %q", body, name, values, want[name])
			}
		}
		again, no := parseForm(url.Values(got).Encode())
		if no != nil || len(again) != len(got) {
			t.Errorf("round trip of %q: %v, %v", body, again, no)
		}
	})
}
