package processtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Upstream is an internal service that records every request and answers `{"service":"<name>"}`, or as Answer says.
type Upstream struct {
	URL string
	// Answer, when set before the first request, replaces the plain answer. The body has been read already.
	Answer http.HandlerFunc

	mu   sync.Mutex // guards seen
	seen []Request
}

// Request is what reached an upstream.
type Request struct {
	Method, URI, Host string
	Header            http.Header
	Body              string
}

// JWT is the bearer token of the request; empty when there is none.
func (r Request) JWT() string {
	jwt, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return jwt
}

// Claims decodes the JWT's payload without verifying it: tests look at what was sent.
func (r Request) Claims(t testing.TB) map[string]any {
	t.Helper()
	parts := strings.Split(r.JWT(), ".")
	if len(parts) != 3 {
		t.Fatalf("%s %s reached the upstream without a JWT: Authorization %q", r.Method, r.URI, r.Header.Values("Authorization"))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]any{}
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatalf("the payload of the JWT for %s %s: %v", r.Method, r.URI, err)
	}
	return claims
}

// NewUpstream starts an upstream in this process.
func NewUpstream(t testing.TB, name string) *Upstream {
	t.Helper()
	u := &Upstream{Answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"service":"`+name+`"}`) // the edge has gone
	}}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.URL = server.URL
	return u
}

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the edge has cut the request
	}
	u.mu.Lock()
	u.seen = append(u.seen, Request{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(body)})
	u.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.Answer(w, r)
}

// Requests are all requests so far, in the order of their arrival.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.seen)
}

// Last is the latest request; the test fails when there was none.
func (u *Upstream) Last(t testing.TB) Request {
	t.Helper()
	all := u.Requests()
	if len(all) == 0 {
		t.Fatal("no request has reached the upstream")
	}
	return all[len(all)-1]
}
