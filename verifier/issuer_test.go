package verifier_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

// Where the stub's documents are, for testIssuer.
const (
	metadataPath = "/.well-known/oauth-authorization-server"
	oidcPath     = "/.well-known/openid-configuration"
	keysPath     = "/keys"
)

// issuerStub is an issuer in memory: an http.RoundTripper that counts what it is asked, so that time can stand
// still around it.
type issuerStub struct {
	mu     sync.Mutex // guards answer, counts and last
	answer map[string]stubAnswer
	counts map[string]int
	last   *http.Request
}

// stubAnswer answers one path. It may block, but not beyond ctx.
type stubAnswer func(ctx context.Context) (*http.Response, error)

// newIssuer publishes these keys and metadata that name them.
func newIssuer(keys ...any) *issuerStub {
	s := &issuerStub{answer: make(map[string]stubAnswer), counts: make(map[string]int)}
	s.set(metadataPath, respond(200, metadata(testIssuer, testIssuer+keysPath)))
	s.publish(keys...)
	return s
}

func metadata(issuer, jwksURI string) string {
	return `{"issuer":"` + issuer + `","jwks_uri":"` + jwksURI + `"}`
}

func (s *issuerStub) set(path string, a stubAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[path] = a
}

func (s *issuerStub) publish(keys ...any) { s.set(keysPath, respond(200, keySet(keys...))) }

// fetched is how often a path was asked for.
func (s *issuerStub) fetched(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

func (s *issuerStub) lastHeader(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Header.Get(name)
}

func (s *issuerStub) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.counts[r.URL.Path]++
	s.last = r
	a, ok := s.answer[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		a = respond(404, "not found")
	}
	return a(r.Context())
}

// jwks is a JWKS that fetches from the stub.
func (s *issuerStub) jwks(t testing.TB, c verifier.JWKSConfig) *verifier.JWKS {
	t.Helper()
	if c.Issuer == "" && c.URL == "" {
		c.URL = testIssuer + keysPath
	}
	c.Client = &http.Client{Transport: s}
	j, err := verifier.NewJWKS(c)
	if err != nil {
		t.Fatalf("NewJWKS(%+v): %v", c, err)
	}
	return j
}

// respond answers with a status, a body and header fields as pairs.
func respond(status int, body string, fields ...string) stubAnswer {
	return func(context.Context) (*http.Response, error) {
		h := make(http.Header)
		for i := 0; i < len(fields); i += 2 {
			h.Add(fields[i], fields[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// hang answers nothing until the request is given up.
func hang(ctx context.Context) (*http.Response, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// refuse is an issuer that is down.
func refuse(context.Context) (*http.Response, error) { return nil, errors.New("connection refused") }

// after holds an answer back until gate is closed.
func after(gate <-chan struct{}, a stubAnswer) stubAnswer {
	return func(ctx context.Context) (*http.Response, error) {
		select {
		case <-gate:
			return a(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// endless is a body that never ends: as fast as it is read, or (with slow) a byte now and nothing after it.
func endless(slow bool) stubAnswer {
	return func(ctx context.Context) (*http.Response, error) {
		body := io.Reader(zeros{})
		if slow {
			body = io.MultiReader(strings.NewReader("{"), silence{ctx})
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body)}, nil
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// wantKey asks for a kid and compares the error; nil means that the key is found.
func wantKey(t testing.TB, j *verifier.JWKS, kid string, want error) {
	t.Helper()
	k, err := j.Key(t.Context(), kid)
	if !errors.Is(err, want) || err == nil && k.ID != kid {
		t.Errorf("Key(%q) = %+v, %v; want %v", kid, k, err, want)
	}
}
