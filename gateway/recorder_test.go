package gateway_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// service is an upstream that remembers what it was sent.
type service struct {
	server  *httptest.Server
	handler atomic.Pointer[http.HandlerFunc] // nil: 200 and "hello"

	mu   sync.Mutex // guards seen
	seen []recorded
}

// recorded is one request as the upstream's own parser saw it.
type recorded struct {
	method, line, proto, host, body string
	length                          int64 // -1: chunked
	header, trailer                 http.Header
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{}
	s.server = httptest.NewServer(s.record())
	t.Cleanup(s.server.Close)
	return s
}

// newTLSService has a certificate of its own, which is all that its roots hold.
func newTLSService(t testing.TB) (*service, *x509.CertPool) {
	t.Helper()
	s, roots := &service{}, x509.NewCertPool()
	s.server = httptest.NewTLSServer(s.record())
	t.Cleanup(s.server.Close)
	roots.AddCert(s.server.Certificate())
	return s, roots
}

func (s *service) url() *url.URL {
	u, _ := url.Parse(s.server.URL)
	return u
}

func (s *service) record() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, recorded{r.Method, r.RequestURI, r.Proto, r.Host, string(body), r.ContentLength, r.Header.Clone(), r.Trailer.Clone()})
		s.mu.Unlock()
		if f := s.handler.Load(); f != nil {
			(*f)(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello")
	})
}

func (s *service) answers(f http.HandlerFunc) { s.handler.Store(&f) }

func (s *service) requests() []recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// one expects that exactly one request has arrived, and forgets it.
func (h *house) one() recorded {
	h.t.Helper()
	h.service.mu.Lock()
	defer h.service.mu.Unlock()
	if len(h.service.seen) != 1 {
		h.t.Fatalf("upstream got %d requests %+v, want 1", len(h.service.seen), h.service.seen)
	}
	r := h.service.seen[0]
	h.service.seen = nil
	return r
}

// nothing expects that nothing has reached the upstream.
func (h *house) nothing() {
	h.t.Helper()
	if seen := h.service.requests(); len(seen) > 0 {
		h.t.Errorf("upstream got %+v, want nothing", seen)
	}
}

// refused expects a refusal with that status and code, and nothing upstream.
func (h *house) refused(a answer, status int, code string) {
	h.t.Helper()
	if a.status != status || a.code() != code {
		h.t.Errorf("answer is %d, Gateway-Error %q, body %q; want %d and code %q", a.status, a.header.Get("Gateway-Error"), a.body, status, code)
	}
	h.nothing()
}
