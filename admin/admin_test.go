package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	readerSecret  = strings.Repeat("a1", 32)
	revokerSecret = strings.Repeat("b2", 32)
	bothSecret    = strings.Repeat("c3", 32)
)

func token(t testing.TB, name, secret string, scopes ...Scope) Token {
	t.Helper()
	sum, err := HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return Token{name, sum, scopes}
}

// kit is an admin API with two routes that say who called them, and one that breaks.
type kit struct {
	http.Handler
	log *bytes.Buffer
}

func newKit(t testing.TB) *kit {
	t.Helper()
	says := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s by %s with %q, %d bytes, %v", r.Method, r.Pattern, r.PathValue("jti"), Caller(r), r.Header.Values("Authorization"), len(body), err)
	})
	breaks := func(v any) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(v) })
	}
	log := &bytes.Buffer{}
	h, err := New(Config{
		Tokens: []Token{
			token(t, "reader", readerSecret, ReadTokens),
			token(t, "revoker", revokerSecret, RevokeTokens),
			token(t, "both", bothSecret, RevokeTokens, ReadTokens),
		},
		Routes: []Route{
			{"GET", "/v1/tokens", ReadTokens, says},
			{"GET", "/v1/tokens/{jti}", ReadTokens, says},
			{"POST", "/v1/revocations", RevokeTokens, says},
			{"GET", "/v1/broken", ReadTokens, breaks("value-with-" + readerSecret)},
			{"GET", "/v1/cut", ReadTokens, breaks(http.ErrAbortHandler)},
		},
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &kit{h, log}
}

// call sends one request; authorization is the header's values.
func (k *kit) call(method, path, body string, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://admin"+path, strings.NewReader(body))
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

// lastLine is the newest line of the log.
func (k *kit) lastLine(t testing.TB) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(k.log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatalf("log line %q: %v", lines[len(lines)-1], err)
	}
	return line
}

func wantProblem(t testing.TB, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct{ Code, Detail string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != status || body.Code != code || body.Detail == "" {
		t.Errorf("%s: got %d %s (%v), want %d %s and a detail", what, w.Code, w.Body, err, status, code)
	}
	for header, want := range map[string]string{
		"Cache-Control": "no-store", "Connection": "close", "Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %s is %q, want %q", what, header, got, want)
		}
	}
}

func TestScopesAreAsked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, row := range []struct {
		method, path, secret string
		status               int
		lacks                string
	}{
		{"GET", "/v1/tokens", readerSecret, 200, ""},
		{"HEAD", "/v1/tokens", readerSecret, 200, ""},
		{"GET", "/v1/tokens/0123", readerSecret, 200, ""},
		{"GET", "/v1/tokens", revokerSecret, 403, "tokens:read"},
		{"GET", "/v1/tokens/0123", revokerSecret, 403, "tokens:read"},
		{"POST", "/v1/revocations", readerSecret, 403, "tokens:revoke"},
		{"POST", "/v1/revocations", revokerSecret, 200, ""},
		{"POST", "/v1/revocations", bothSecret, 200, ""},
		{"GET", "/v1/tokens", bothSecret, 200, ""},
	} {
		what := row.method + " " + row.path
		w := k.call(row.method, row.path, "", "Bearer "+row.secret)
		if row.lacks == "" {
			if w.Code != row.status {
				t.Errorf("%s: got %d %s, want %d", what, w.Code, w.Body, row.status)
			}
			continue
		}
		wantProblem(t, what, w, row.status, "insufficient_scope")
		want := `Bearer realm="coatcheck admin", error="insufficient_scope", scope="` + row.lacks + `"`
		if got := w.Header().Get("WWW-Authenticate"); got != want || !strings.Contains(w.Body.String(), row.lacks) {
			t.Errorf("%s: challenge %q and body %s, want both to name %s", what, got, w.Body, row.lacks)
		}
	}
}

// Without a token of ours nothing can be learned: every path and method gets the same answer.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	for _, authorization := range [][]string{
		nil,
		{""},
		{"Bearer"},
		{"Bearer "},
		{"Bearer " + readerSecret[1:]},
		{"Bearer " + readerSecret + "a"},
		{"Bearer " + strings.ToUpper(readerSecret)},
		{"Basic " + readerSecret},
		{readerSecret},
		{"Bearer " + readerSecret, "Bearer " + readerSecret},
		{"Bearer " + readerSecret + ", Bearer " + revokerSecret},
		{"Bearer " + readerSecret + " "},
		{"Bearer\t" + readerSecret},
		{"Bearer " + strings.Repeat("x", 1<<16)},
	} {
		k := newKit(t)
		var first string
		for _, at := range [][2]string{{"GET", "/v1/tokens"}, {"GET", "/nowhere"}, {"PUT", "/v1/tokens"}, {"POST", "/v1/revocations"}, {"GET", "//v1/tokens"}} {
			w := k.call(at[0], at[1]+"?access_token="+readerSecret, "{}", authorization...)
			wantProblem(t, fmt.Sprintf("%s %s with %.60q", at[0], at[1], authorization), w, 401, "token_required")
			if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="coatcheck admin"` {
				t.Errorf("challenge %q", got)
			}
			body := strings.Replace(w.Body.String(), w.Header().Get("X-Request-Id"), "", 1)
			if first == "" {
				first = body
			}
			if body != first {
				t.Errorf("%s %s: %s, elsewhere %s", at[0], at[1], body, first)
			}
		}
	}
}

func TestSchemeIsRead(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
		if w := k.call("GET", "/v1/tokens", "", scheme+readerSecret); w.Code != 200 {
			t.Errorf("%q: got %d, want 200", scheme, w.Code)
		}
	}
}

func TestPathsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/tokens/", "//v1/tokens", "/v1//tokens", "/v1/./tokens", "/v1/x/../tokens", "/v1/tokens/a/b",
		"/v1/tokens%2f", "/v1%2ftokens", "/V1/tokens", "/v1/tokens/a%2fb",
	} {
		w := k.call("GET", path, "", "Bearer "+bothSecret)
		wantProblem(t, path, w, 404, "no_such_path")
		if w.Header().Get("Location") != "" {
			t.Errorf("%s: a redirect to %s", path, w.Header().Get("Location"))
		}
	}
	for path, allow := range map[string]string{"/v1/tokens": "GET", "/v1/revocations": "POST"} {
		for _, method := range []string{"PUT", "DELETE", "OPTIONS", "TRACE", "get"} {
			w := k.call(method, path, "", "Bearer "+bothSecret)
			wantProblem(t, method+" "+path, w, 405, "method_not_allowed")
			if got := w.Header().Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allow)
			}
		}
	}
	// The asterisk form is for no path at all (RFC 9110 §9.3.7).
	r := httptest.NewRequest("OPTIONS", "*", nil)
	r.Header.Set("Authorization", "Bearer "+bothSecret)
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	wantProblem(t, "OPTIONS *", w, 404, "no_such_path")
}

// What a handler sees: the caller's name, and no credentials.
func TestHandlersSeeTheCallerAndNotTheSecret(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	w := k.call("GET", "/v1/tokens/0123", "body", "Bearer "+bothSecret)
	if got, want := w.Body.String(), `GET /v1/tokens/{jti} 0123 by both with [], 4 bytes, <nil>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if Caller(httptest.NewRequest("GET", "/", nil)) != "" {
		t.Error("a request from elsewhere has a caller")
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	w := k.call("POST", "/v1/revocations", strings.Repeat("x", maxBody+1), "Bearer "+bothSecret)
	if !strings.Contains(w.Body.String(), "request body too large") {
		t.Errorf("a body of %d bytes: %s", maxBody+1, w.Body)
	}
}

func TestEveryCallIsAudited(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, row := range []struct {
		method, path, secret string
		want                 map[string]any
	}{
		{"GET", "/v1/tokens/" + readerSecret + "?q=" + readerSecret, readerSecret, map[string]any{"caller": "reader", "path": "/v1/tokens/{jti}", "status": 200.0, "level": "INFO"}},
		{"POST", "/v1/revocations", readerSecret, map[string]any{"caller": "reader", "path": "/v1/revocations", "status": 403.0, "level": "WARN"}},
		{"GET", "/" + readerSecret, readerSecret, map[string]any{"caller": "reader", "path": "", "status": 404.0, "level": "WARN"}},
		{"PUT", "/v1/tokens", readerSecret, map[string]any{"caller": "reader", "path": "/v1/tokens", "status": 405.0, "level": "WARN"}},
		{"GET", "/v1/tokens", "x" + readerSecret, map[string]any{"caller": "", "path": "", "status": 401.0, "level": "WARN"}},
		{"GET", "/v1/broken", readerSecret, map[string]any{"caller": "reader", "path": "/v1/broken", "status": 500.0, "level": "ERROR"}},
	} {
		w := k.call(row.method, row.path, readerSecret, "Bearer "+row.secret)
		got := k.lastLine(t)
		row.want["msg"], row.want["method"], row.want["address"] = "admin call", row.method, "192.0.2.1"
		row.want["request_id"], row.want["time"], row.want["duration_ms"] = w.Header().Get("X-Request-Id"), got["time"], got["duration_ms"]
		if diff := cmp.Diff(row.want, got); diff != "" || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s %s: audit line (-want +got):\n%s", row.method, row.path, diff)
		}
	}
	for _, secret := range []string{readerSecret, revokerSecret} {
		if strings.Contains(k.log.String(), secret) {
			t.Errorf("a secret is in the log:\n%s", k.log)
		}
	}
}

func TestPanicIsA500ThatSaysNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	wantProblem(t, "panic", k.call("GET", "/v1/broken", "", "Bearer "+readerSecret), 500, "internal_error")
	if log := k.log.String(); !strings.Contains(log, `"msg":"panic"`) || !strings.Contains(log, "router.go") {
		t.Errorf("the log does not tell the panic and its stack:\n%s", log)
	}
}

func TestAbortGoesOn(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("http.ErrAbortHandler was swallowed")
		}
		if k.lastLine(t)["path"] != "/v1/cut" {
			t.Errorf("no audit line of a cut answer:\n%s", k.log)
		}
	}()
	k.call("GET", "/v1/cut", "", "Bearer "+readerSecret)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Config{
		Tokens: []Token{token(t, "one", readerSecret, ReadTokens)},
		Routes: []Route{{"GET", "/v1/tokens", ReadTokens, http.NotFoundHandler()}},
	}
	if _, err := New(good); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for name, row := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no tokens":           {func(c *Config) { c.Tokens = nil }, "no tokens"},
		"no name":             {func(c *Config) { c.Tokens[0].Name = "" }, "not a name"},
		"a name with a break": {func(c *Config) { c.Tokens[0].Name = "a\nb" }, "not a name"},
		"a long name":         {func(c *Config) { c.Tokens[0].Name = strings.Repeat("a", 65) }, "not a name"},
		"no secret":           {func(c *Config) { c.Tokens[0].SHA256 = [32]byte{} }, "has no secret"},
		"no scope":            {func(c *Config) { c.Tokens[0].Scopes = nil }, "has no scope"},
		"an unknown scope":    {func(c *Config) { c.Tokens[0].Scopes = []Scope{"tokens:all"} }, "does not exist"},
		"one name twice":      {func(c *Config) { c.Tokens = append(c.Tokens, token(t, "one", bothSecret, ReadTokens)) }, "is there twice"},
		"one secret twice":    {func(c *Config) { c.Tokens = append(c.Tokens, token(t, "two", readerSecret, ReadTokens)) }, `has the secret of "one"`},
		"no handler":          {func(c *Config) { c.Routes[0].Handle = nil }, "needs method"},
		"no scope of a route": {func(c *Config) { c.Routes[0].Scope = "" }, "needs method"},
		"a final slash":       {func(c *Config) { c.Routes[0].Path = "/v1/" }, "without final slash"},
		"a route twice":       {func(c *Config) { c.Routes = append(c.Routes, c.Routes[0]) }, "is there twice"},
	} {
		c := Config{Tokens: append([]Token(nil), good.Tokens...), Routes: append([]Route(nil), good.Routes...)}
		row.change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, row.want)
		}
	}
}

func TestHashSecretRefusesWhatWasNotGenerated(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "short", strings.Repeat("x", 31), strings.Repeat("x", 257), strings.Repeat("x", 40) + "\n", strings.Repeat("ü", 32), strings.Repeat("a b", 20)} {
		if _, err := HashSecret(secret); err == nil || strings.Contains(err.Error(), "xxx") || !strings.Contains(err.Error(), "openssl rand") {
			t.Errorf("secret of %d bytes: got %v, want a refusal that names the mend and not the secret", len(secret), err)
		}
	}
}
