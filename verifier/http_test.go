package verifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

// ask sends a request with these Authorization fields through Require.
func ask(t *testing.T, v *verifier.Verifier, scopes []string, authorization ...string) (*http.Response, string) {
	t.Helper()
	handler := v.Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := verifier.FromContext(r.Context())
		if !ok {
			t.Error("FromContext behind Require = false")
		}
		_, _ = fmt.Fprint(w, c.ClientID)
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders?access_token="+testKeys().es.access(), nil)
	for _, field := range authorization {
		r.Header.Add("Authorization", field)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

func TestA2_ErrorsFollowRFC6750(t *testing.T) {
	t.Parallel()
	k := testKeys().es
	good, expired := k.access(), k.access("exp", "1767225000")
	const (
		bare      = `Bearer realm="orders-api"`
		malformed = bare + `, error="invalid_request", error_description="send one Authorization field with one bearer token"`
		invalid   = bare + `, error="invalid_token", error_description="the token is not valid here"`
		late      = bare + `, error="invalid_token", error_description="the token has expired"`
		lacking   = bare + `, error="insufficient_scope", error_description="the token lacks a scope", scope=`
		scope     = lacking + `"orders:read orders:delete"`
		noScope   = lacking + `""`
	)
	both := []string{"orders:read", "orders:write"}
	for _, c := range []struct {
		name      string
		scopes    []string
		fields    []string
		status    int
		challenge string
	}{
		{"good", nil, []string{"Bearer " + good}, 200, ""},
		{"good with its scopes", both, []string{"Bearer " + good}, 200, ""},
		{"scheme in lower case", nil, []string{"bearer " + good}, 200, ""},
		{"scheme in upper case, two spaces", nil, []string{"BEARER  " + good}, 200, ""},
		{"no field, and a token in the query", nil, nil, 401, bare},
		{"an empty field", nil, []string{""}, 401, bare},
		{"Basic", nil, []string{"Basic dTpw"}, 401, bare},
		{"a scheme that begins like ours", nil, []string{"BearerX " + good}, 401, bare},
		{"a tab after the scheme", nil, []string{"Bearer\t" + good}, 401, bare},
		{"bearer is not at the start", nil, []string{"x Bearer " + good}, 401, bare},
		{"two fields", nil, []string{"Bearer " + good, "Bearer " + good}, 400, malformed},
		{"two fields, one of another scheme", nil, []string{"Basic dTpw", "Bearer " + good}, 400, malformed},
		{"two credentials in one field", nil, []string{"Bearer " + good + ", Bearer " + good}, 400, malformed},
		{"no token", nil, []string{"Bearer"}, 400, malformed},
		{"only spaces", nil, []string{"Bearer   "}, 400, malformed},
		{"only padding", nil, []string{"Bearer =="}, 400, malformed},
		{"text behind", nil, []string{"Bearer " + good + " x"}, 400, malformed},
		{"a tab before the token", nil, []string{"Bearer \t" + good}, 400, malformed},
		{"quotes", nil, []string{`Bearer "` + good + `"`}, 400, malformed},
		{"padding in the middle", nil, []string{"Bearer a=b"}, 400, malformed},
		{"padding behind", nil, []string{"Bearer " + good + "="}, 401, invalid},
		{"a token68 that is no JWT", nil, []string{"Bearer ab.~+/"}, 401, invalid},
		{"of another class", nil, []string{"Bearer " + k.token(k.headerOf("JWT"), claims())}, 401, invalid},
		{"of another audience", nil, []string{"Bearer " + k.access("aud", `"billing-api"`)}, 401, invalid},
		{"unknown key", nil, []string{"Bearer " + testKeys().es2.access()}, 401, invalid},
		{"expired", nil, []string{"Bearer " + expired}, 401, late},
		{"a scope is missing", []string{"orders:read", "orders:delete"}, []string{"Bearer " + good}, 403, scope},
		{"expired and a scope is missing", []string{"orders:delete"}, []string{"Bearer " + expired}, 401, late},
		{"a scope that no token can hold", []string{""}, []string{"Bearer " + good}, 403, noScope},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, body := ask(t, newVerifier(t, staticKeys()), c.scopes, c.fields...)
			if res.StatusCode != c.status || res.Header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%q: %d %q, want %d %q", c.fields, res.StatusCode, res.Header.Get("WWW-Authenticate"), c.status, c.challenge)
			}
			if c.status == 200 {
				if body != "partner-shop" {
					t.Errorf("body %q, want what the handler wrote", body)
				}
				return
			}
			checkErrorBody(t, res, body, c.challenge)
		})
	}
}

// checkErrorBody wants small JSON whose error is that of the challenge, and which no cache keeps.
func checkErrorBody(t *testing.T, res *http.Response, body, challenge string) {
	t.Helper()
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Description == "" || len(body) > 200 {
		t.Errorf("body %q (%v), want small JSON with error_description", body, err)
	}
	if answer.Error != "" && !strings.Contains(challenge, `error="`+answer.Error+`"`) {
		t.Errorf("body says %q, the challenge %q", answer.Error, challenge)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", got)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q, want application/json", got)
	}
}

func TestUnavailableKeysAre503AndNever401(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{verifier.ErrKeysUnavailable, context.DeadlineExceeded, errors.New("anything else")} {
		res, body := ask(t, newVerifier(t, brokenKeys{cause}), nil, "Bearer "+testKeys().es.access())
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: %d, Retry-After %q, challenge %q; want 503 with Retry-After and no challenge", cause,
				res.StatusCode, res.Header.Get("Retry-After"), res.Header.Get("WWW-Authenticate"))
		}
		if strings.Contains(body, cause.Error()) {
			t.Errorf("the body %q tells the cause %v", body, cause)
		}
	}
}

func TestChallengeIsQuotedStringSafe(t *testing.T) {
	t.Parallel()
	v, err := verifier.New(testIssuer, testAudience, verifier.Config{Keys: staticKeys(), Realm: "a \"b\\c\"\r\nX: ü"})
	if err != nil {
		t.Fatal(err)
	}
	v.SetNow(testNow)
	res, _ := ask(t, v, []string{"x\"\r\ny"}, "Bearer "+testKeys().es.access())
	want := `Bearer realm="a \"b\\c\"??X: ??", error="insufficient_scope", error_description="the token lacks a scope", scope="x\"??y"`
	if got := res.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("challenge %q, want %q", got, want)
	}
}

func TestContextCarriesClaims(t *testing.T) {
	t.Parallel()
	if c, ok := verifier.FromContext(t.Context()); ok || c != nil {
		t.Errorf("FromContext without Require = %v, %t", c, ok)
	}
	if _, ok := verifier.FromContext(verifier.NewContext(t.Context(), nil)); ok {
		t.Error("FromContext of nil claims = true, want false: a handler would use them")
	}
	want := &verifier.Claims{ClientID: "partner-shop"}
	if got, ok := verifier.FromContext(verifier.NewContext(t.Context(), want)); !ok || got != want {
		t.Errorf("FromContext = %v, %t; want %v", got, ok, want)
	}
}
