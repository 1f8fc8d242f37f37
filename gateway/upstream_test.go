package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func targets(t testing.TB, urls ...string) []*url.URL {
	t.Helper()
	var out []*url.URL
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// inMemory serves targets by host name without a network, so that a test's clock can be false.
type inMemory map[string]http.HandlerFunc

func (m inMemory) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	handler := m[host]
	if handler == nil {
		return nil, fmt.Errorf("connection to %s refused", host)
	}
	ours, theirs := net.Pipe()
	one := &oneConn{conn: theirs, closed: make(chan struct{})}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			close(one.closed)
		}
	}}
	go func() { _ = server.Serve(one) }()
	return ours, nil
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func names(u *upstream, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(u.next().Host)
	}
	return b.String()
}

func TestTargetsTakeTurns(t *testing.T) {
	t.Parallel()
	u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, "http://a", "http://b/", "https://c")}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if got := names(u, 6); !strings.Contains("abcabcabc", got) {
		t.Errorf("turns %q, want abc in a ring", got)
	}
	u.targets[1].out.Store(true)
	if got := names(u, 60); strings.Contains(got, "b") || !strings.Contains(got, "a") || !strings.Contains(got, "c") {
		t.Errorf("turns %q while b is out", got)
	}
	for _, tg := range u.targets {
		tg.out.Store(true)
	}
	if got := names(u, 6); !strings.Contains("abcabcabc", got) {
		t.Errorf("turns %q while all are out, want all tried", got)
	}
}

// A target leaves after two failures and returns after two successes; one that only hangs fails too.
func TestHealthMovesTargets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sick atomic.Pointer[http.HandlerFunc]
		well := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" || r.Header.Get("Accept-Encoding") != "" {
				w.WriteHeader(http.StatusTeapot)
			}
		})
		sick.Store(&well)
		var log bytes.Buffer
		u, err := newUpstream(Upstream{Name: "orders", Targets: targets(t, "http://a", "http://b"), Health: "/healthz"}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		u.transport.DialContext = inMemory{"a": well, "b": func(w http.ResponseWriter, r *http.Request) { (*sick.Load())(w, r) }}.dial
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- u.run(ctx) }()
		round := func() { time.Sleep(checkEvery + checkEvery/10 + checkTimeout); synctest.Wait() }
		at := func(what string, out bool) {
			t.Helper()
			if got := u.targets[1].out.Load(); got != out || u.targets[0].out.Load() {
				t.Fatalf("%s: b out %v, want %v; a out %v", what, got, out, u.targets[0].out.Load())
			}
		}
		synctest.Wait()
		at("at first", false)
		for what, fail := range map[string]http.HandlerFunc{
			"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"is 503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"redirects": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://a/healthz", http.StatusFound)
			},
			"breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			sick.Store(&fail)
			round()
			round()
			round()
			at("when b "+what, true)
			sick.Store(&well)
			round()
			round()
			round()
			at("when b, which "+what+", is well again", false)
		}
		if n := strings.Count(log.String(), "upstream=orders target=b"); n != 8 {
			t.Errorf("%d lines about b, want 8:\n%s", n, log.String())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v, want nil", err)
		}
		u.close()
	})
}

// One answer moves nothing; the streak must be unbroken.
func TestHealthNeedsAStreak(t *testing.T) {
	t.Parallel()
	u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, "http://a")}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	state, bad := u.targets[0], io.ErrUnexpectedEOF
	for i, step := range []struct {
		err error
		out bool
	}{{bad, false}, {nil, false}, {bad, false}, {bad, true}, {bad, true}, {nil, true}, {bad, true}, {nil, true}, {nil, false}, {bad, false}} {
		if u.judge(t.Context(), state, step.err); state.out.Load() != step.out {
			t.Fatalf("step %d (%v): out %v, want %v", i, step.err, !step.out, step.out)
		}
	}
}

// The health answer is read in bounds: an endless one neither fails nor holds the check.
func TestHealthBodyIsBounded(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, endless.URL), Health: "/healthz"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := u.ask(t.Context(), u.targets[0]); err != nil {
		t.Errorf("ask: %v", err)
	}
}

func TestRunWithoutHealthEndsWithItsContext(t *testing.T) {
	t.Parallel()
	u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, "http://a")}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := u.run(ctx); err != nil {
		t.Errorf("run: %v, want nil", err)
	}
}

// H15: nothing is asked for that the caller did not ask for, and no proxy of the environment is used.
func TestH15_TransportTransformsNothing(t *testing.T) {
	t.Parallel()
	u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, "http://a")}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	tr := u.transport
	if !tr.DisableCompression || tr.Proxy != nil || tr.Protocols.HTTP2() || tr.Protocols.UnencryptedHTTP2() || tr.ResponseHeaderTimeout != headerTimeout || tr.MaxResponseHeaderBytes == 0 {
		t.Errorf("transport %+v", tr)
	}
}

// S1: the hop to a target proves its certificate with the given roots, and only with them.
func TestS1_TargetsAreVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for what, c := range map[string]struct {
		tls *tls.Config
		ok  bool
	}{"its own roots": {&tls.Config{RootCAs: roots}, true}, "system roots": {nil, false}, "no roots": {&tls.Config{RootCAs: x509.NewCertPool()}, false}, "another name": {&tls.Config{RootCAs: roots, ServerName: "other"}, false}} {
		u, err := newUpstream(Upstream{Name: "u", Targets: targets(t, server.URL), Health: "/", TLS: c.tls}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		if err := u.ask(t.Context(), u.targets[0]); (err == nil) != c.ok {
			t.Errorf("%s: %v, want success %v", what, err, c.ok)
		}
		u.close()
	}
}

func TestUpstreamsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for what, u := range map[string]Upstream{
		"no target": {}, "a path": {Targets: targets(t, "http://a/base")}, "a query": {Targets: targets(t, "http://a?x=1")}, "a password": {Targets: targets(t, "http://u:hush@a")}, "a scheme": {Targets: targets(t, "ftp://a")},
		"no host": {Targets: targets(t, "http://")}, "a second bad one": {Targets: targets(t, "http://a", "b:80")}, "health without slash": {Targets: targets(t, "http://a"), Health: "healthz"},
		"health with query": {Targets: targets(t, "http://a"), Health: "/h?x=1"}, "health elsewhere": {Targets: targets(t, "http://a"), Health: "@evil/"},
	} {
		u.Name = "orders"
		_, err := newUpstream(u, quiet())
		if err == nil || !strings.Contains(err.Error(), "upstream orders") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v; want an error that names the upstream and no secret", what, err)
		}
	}
}
