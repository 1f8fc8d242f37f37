package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// H4: only a WebSocket passes, where the route allows it; everything else stays a plain request.
func TestH4_OnlyTheUpgradesOfTheRoute(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, header := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"},
		{"Connection: Upgrade", "Upgrade: websocket, h2c"},
		{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"},
		{"Connection: Upgrade", "Upgrade: TLS/1.3"},
		{"Upgrade: websocket"},
	} {
		a := h.get("/socket", append(header, bearer(g.reference))...)
		if a.status/100 == 4 {
			h.nothing()
			continue
		}
		if r := h.one(); r.header.Get("Upgrade") != "" || r.header.Get("Connection") != "" || r.header.Get("Http2-Settings") != "" {
			t.Errorf("%q: upstream got %v", header, r.header)
		}
	}
	h.get("/orders/1", bearer(g.reference), "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
	if r := h.one(); r.header.Get("Upgrade") != "" || r.header.Get("Connection") != "" {
		t.Errorf("a route without websocket: upstream got %v", r.header)
	}
}

func TestH4_WebSocketPassesBothWays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.service.answers(switchTo("websocket"))
	g := h.full()
	conn, r := h.dial()
	h.write(conn, "GET /socket HTTP/1.1\r\nHost: edge\r\n"+bearer(g.reference)+"\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
	if status, header := h.head(r); status != 101 || header.Get("Upgrade") != "websocket" {
		t.Fatalf("handshake: %d %v; want 101", status, header)
	}
	h.write(conn, "ping\n")
	if line, err := r.ReadString('\n'); line != "PING\n" || err != nil {
		t.Errorf("through the socket came %q, %v; want PING", line, err)
	}
	if got := h.one().header.Get("Authorization"); got != "Bearer "+g.jwt["orders-api"] {
		t.Errorf("upstream got Authorization %q, want the JWT", got)
	}
	h.service.answers(switchTo("websocket"))
	h.refused(h.get("/socket", "Connection: Upgrade", "Upgrade: websocket"), 401, "credentials_required")
}

// An upstream cannot make a tunnel of a request that asked for none, or for another protocol.
func TestH4_UnaskedSwitchIsABadGateway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	ended := make(chan struct{}, 4)
	for _, protocol := range []string{"", "h2c", "websocket"} {
		h.service.answers(func(w http.ResponseWriter, r *http.Request) {
			switchTo(protocol)(w, r)
			ended <- struct{}{}
		})
		if a := h.get("/orders/1", bearer(g.reference)); a.code() != "upstream_error" {
			t.Errorf("upstream switches to %q unasked: %d %q, want upstream_error", protocol, a.status, a.body)
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("upstream switches to %q unasked: its connection stays open", protocol)
		}
	}
	h.service.answers(switchTo("h2c"))
	if a := h.get("/socket", bearer(g.reference), "Connection: Upgrade", "Upgrade: websocket"); a.code() != "upstream_error" {
		t.Errorf("upstream switches to h2c in place of websocket: %d %q, want upstream_error", a.status, a.body)
	}
}

// switchTo answers 101 and then gives each line back in capitals.
func switchTo(protocol string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		head := "HTTP/1.1 101 Switching Protocols\r\n"
		if protocol != "" {
			head += "Connection: Upgrade\r\nUpgrade: " + protocol + "\r\n"
		}
		_, _ = io.WriteString(conn, head+"\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, strings.ToUpper(line))
	}
}
