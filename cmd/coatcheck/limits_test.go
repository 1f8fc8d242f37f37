package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestListenersHaveEveryTimeout: what does not carry streams bounds a request and its answer as a whole. The edge
// bounds each read and each write itself, since a stream may be long.
func TestListenersHaveEveryTimeout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		streams     bool
		read, write time.Duration
	}{
		{"edge", true, 0, 0},
		{"issuer, metrics", false, 10 * time.Second, 60 * time.Second},
	} {
		srv := service{handler: http.NotFoundHandler(), streams: c.streams}.server(slog.New(slog.DiscardHandler))
		if srv.ReadTimeout != c.read || srv.WriteTimeout != c.write {
			t.Errorf("%s: read %v and write %v, want %v and %v", c.name, srv.ReadTimeout, srv.WriteTimeout, c.read, c.write)
		}
		if srv.ReadHeaderTimeout != 5*time.Second || srv.IdleTimeout != 60*time.Second || srv.MaxHeaderBytes != 32<<10 {
			t.Errorf("%s: headers within %v and %d bytes, idle for %v; want 5s, 32 KiB and 1m", c.name, srv.ReadHeaderTimeout, srv.MaxHeaderBytes, srv.IdleTimeout)
		}
	}
}

// endless is a listener on which somebody is always waiting.
type endless struct{ net.Listener }

func (endless) Accept() (net.Conn, error) { return closable{}, nil }

type closable struct{ net.Conn }

func (closable) Close() error { return nil }

// TestConnectionsAreBounded: one more than maxConnections waits until one of them closes.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := capped(endless{})
		var last net.Conn
		for n := range maxConnections {
			var err error
			if last, err = l.Accept(); err != nil {
				t.Fatalf("connection %d: %v", n, err)
			}
		}
		accepted := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		if len(accepted) > 0 {
			t.Errorf("connection %d is accepted while all others are open", maxConnections+1)
		}
		_ = last.Close()
		if err := <-accepted; err != nil {
			t.Errorf("after one has closed: %v", err)
		}
	})
}

// TestT18_CallFollowsNoRedirect: an issuer that answers with a 307 does not get our own client to send its secret on.
func TestT18_CallFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{})
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed: %s with Authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(thief.Close)
	asked := make(chan struct{}, 1)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(issuer.Close)
	p := processtest.Start(t, nil, "call", "GET", "/orders/17", "-c", lab.Config, "--client", lab.Client,
		"--secret-file", filepath.Join(lab.Dir, "client_secret"), "--issuer", issuer.URL)
	if code := p.Wait(); code == exitOK || len(asked) != 1 {
		t.Errorf("call ended with %d after %d requests to the issuer, want a failure after one\n%s", code, len(asked), p.Stderr)
	}
}

// TestDevListensOnLoopbackAlone: it has secrets that everybody can read, so nobody else may reach it.
func TestDevListensOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	d, err := openDev(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	for name, l := range map[string]net.Listener{"edge": d.edge, "issuer": d.issuer, "metrics": d.metrics, "admin": d.admin, "orders": d.orders, "billing": d.billing} {
		if addr := l.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
			t.Errorf("%s listens on %s, want an address of loopback", name, addr)
		}
	}
}
