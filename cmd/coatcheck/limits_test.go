package main

import (
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
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

// TestDevListensOnLoopbackAlone: it has secrets that everybody can read, so nobody else may reach it.
func TestDevListensOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	d, err := openDev(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	for name, l := range map[string]net.Listener{"edge": d.edge, "issuer": d.issuer, "metrics": d.metrics, "orders": d.orders, "billing": d.billing} {
		if addr := l.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
			t.Errorf("%s listens on %s, want an address of loopback", name, addr)
		}
	}
}
