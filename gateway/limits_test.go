package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/revocation"
)

type failing struct{}

func (failing) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return exchange.Pass{}, exchange.SourceNone, errors.New("something else")
}

// A body over the limit is a 413, announced or not.
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.MaxBody = 1000 })
	g := h.full()
	if a := h.send("POST", "/orders", strings.Repeat("x", 1000), bearer(g.reference)); a.status != 200 {
		t.Errorf("1000 bytes: %d %s, want 200", a.status, a.body)
	}
	h.one()
	h.refused(h.send("POST", "/orders", strings.Repeat("x", 1001), bearer(g.reference)), 413, "body_too_large")
	conn, r := h.dial() // announced, and not a byte of it sent
	h.write(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+bearer(g.reference)+"\r\nContent-Length: 2000000\r\n\r\n")
	h.refused(h.read(r, "POST"), 413, "body_too_large")
	chunked := "\r\n3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n"
	if a := h.send("POST", "/orders", "", bearer(g.reference), "Transfer-Encoding: chunked", chunked); a.code() != "body_too_large" {
		t.Errorf("1001 bytes in chunks: %d %s, want body_too_large", a.status, a.body)
	}
}

// A header over 32 KiB, or of more than 100 lines, is a 431.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused(h.get("/docs/1", strings.Split(strings.TrimSpace(strings.Repeat("X-Many: 1\n", 101)), "\n")...), 431, "too_many_headers")
	if a := h.get("/docs/1", "X-Big: "+strings.Repeat("x", 40<<10)); a.status != 431 {
		t.Errorf("40 KiB of header: %d, want 431", a.status)
	}
	h.nothing()
}

// Trouble with an upstream is 502 or 504, never 503, and its text stays inside.
func TestUpstreamTrouble(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, c := range map[string]struct {
		serve func(net.Conn)
		code  string
	}{
		"closes at once":     {func(net.Conn) {}, "upstream_error"},
		"speaks no HTTP":     {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2 secret-banner\r\n") }, "upstream_error"},
		"endless header":     {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)) }, "upstream_error"},
		"dies in its header": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: y") }, "upstream_error"},
		"never answers":      {func(net.Conn) { <-hang }, "upstream_timeout"},
	} {
		h := newHouse(t, func(cfg *gateway.Config) {
			cfg.Upstreams["orders"] = gateway.Upstream{Targets: []*url.URL{listen(t, c.serve)}, Timeout: patience(c.code)}
		})
		a := h.get("/orders/1", bearer(h.full().reference))
		if a.code() != c.code || strings.Contains(a.body+h.log.String(), "secret-banner") {
			t.Errorf("upstream that %s: %d %s, want %s", name, a.status, a.body, c.code)
		}
		if e := h.log.entry(t, 0); e["decision"] != "error" || e["reason"] != c.code {
			t.Errorf("upstream that %s: log says %v", name, e)
		}
	}
}

// H14: an upstream that floods, contradicts itself or answers too early makes a 502 or 504 of ours, or its answer
// arrives; in time, and nothing of it is taken for another answer.
func TestH14_UpstreamsThatMisbehave(t *testing.T) {
	t.Parallel()
	say := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	for name, c := range map[string]struct {
		serve func(net.Conn)
		code  string
	}{
		"sends early hints without end": {func(c net.Conn) {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
			}
		}, "upstream_timeout"},
		"has two lengths":            {say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"), "upstream_error"},
		"has a length with a sign":   {say("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"), "upstream_error"},
		"has an unknown coding":      {say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "upstream_error"},
		"has a line without a colon": {say("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "upstream_error"},
		"has no status":              {say("HTTP/1.1 OK\r\n\r\n"), "upstream_error"},
		"speaks HTTP/2":              {say("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), "upstream_error"},
		"answers before the body":    {say("HTTP/1.1 422 No\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly"), "early"},
	} {
		h := newHouse(t, func(cfg *gateway.Config) {
			cfg.Upstreams["orders"] = gateway.Upstream{Targets: []*url.URL{listen(t, c.serve)}, Timeout: patience(c.code)}
		})
		a := h.send("POST", "/orders", strings.Repeat("x", 200<<10), bearer(h.full().reference))
		early := c.code == "early" && (a.status == 422 && a.body == "early" || a.code() == "upstream_error") // a reset may overtake it
		if a.code() != c.code && !early {
			t.Errorf("upstream that %s: %d %.80s, want %s", name, a.status, a.body, c.code)
		}
	}
}

// patience is short only where it is to run out: on a busy machine 50 ms are soon over.
func patience(code string) time.Duration {
	if code == "upstream_timeout" {
		return 50 * time.Millisecond
	}
	return 10 * time.Second
}

func TestNobodyListensIs502(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &url.URL{Scheme: "http", Host: l.Addr().String()}
	_ = l.Close()
	h := newHouse(t, func(c *gateway.Config) { c.Upstreams["orders"] = gateway.Upstream{Targets: []*url.URL{target}} })
	h.refused(h.get("/orders/1", bearer(h.full().reference)), 502, "upstream_error")
}

// listen serves each connection, once its first line is there, and closes it.
func listen(t *testing.T, serve func(net.Conn)) *url.URL {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = bufio.NewReader(c).ReadString('\n')
				serve(c)
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// The whole request has a deadline. Who is waited for when it passes decides between 504 and 408.
func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.RequestTimeout = 500 * time.Millisecond })
	g := h.full()
	h.service.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if a := h.get("/orders/1", bearer(g.reference)); a.code() != "upstream_timeout" {
		t.Errorf("slow upstream: %d %s, want upstream_timeout", a.status, a.body)
	}
	conn, r := h.dial()
	h.write(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+bearer(g.reference)+"\r\nContent-Length: 10\r\n\r\nfive.")
	a := h.read(r, "POST")
	if _, err := r.ReadByte(); a.status != 408 || a.code() != "request_timeout" || !errors.Is(err, io.EOF) {
		t.Errorf("slow client: %d %s and then %v, want request_timeout and the connection closed", a.status, a.body, err)
	}
}

// An answer that flows too slowly is cut, so that it cannot read as whole.
func TestRequestTimeoutCutsABody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.RequestTimeout = 500 * time.Millisecond })
	h.service.answers(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if a := h.get("/orders/1", bearer(h.full().reference)); a.status != 200 || a.body != "some" || a.err == nil {
		t.Errorf("client read %d %q and error %v, want an unexpected end", a.status, a.body, a.err)
	}
}

// Who is refused need not be waited for: net/http would read what is left of his body, for ever, before it answers.
func TestRefusedBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{"X: y", bearer("bad"), "Transfer-Encoding: chunked"} {
		conn, r := h.dial()
		if header[0] != 'T' {
			header += "\r\nContent-Length: 10"
		}
		h.write(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+header+"\r\n\r\n")
		a := h.read(r, "POST")
		if _, err := r.ReadByte(); a.status != 401 || err == nil {
			t.Errorf("%q and no body: %d and then %v, want 401 and the connection closed", header, a.status, err)
		}
	}
}

// A client that goes away is its own doing: neither the upstream nor the edge is counted as broken.
func TestClientThatGoesAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	arrived := make(chan struct{})
	h.service.answers(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	conn, _ := h.dial()
	h.write(conn, "GET /orders/1 HTTP/1.1\r\nHost: e\r\n"+bearer(h.full().reference)+"\r\n\r\n")
	<-arrived
	_ = conn.Close()
	if e := h.log.entry(t, 0); e["decision"] != "allow" || e["reason"] != "client_gone" || e["status"] != 499.0 {
		t.Errorf("log says %v, want allow, client_gone", e)
	}
}

// A client that is over its rate gets 429; another is not touched, and neither is one that is refused anyway.
func TestPerClientRate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.PerClient, c.PerClientBurst = 0.001, 2 })
	g := h.full()
	for i, want := range []int{200, 200, 429, 429} {
		a := h.get("/orders/1", bearer(g.reference))
		if a.status != want {
			t.Errorf("request %d: %d %s, want %d", i, a.status, a.body, want)
		}
		if want == 429 && (a.code() != "rate_limited" || a.header.Get("Retry-After") == "") {
			t.Errorf("request %d: %s with Retry-After %q, want rate_limited", i, a.body, a.header.Get("Retry-After"))
		}
	}
	if a := h.get("/docs/1"); a.status != 200 {
		t.Errorf("public route: %d, want 200", a.status)
	}
}

// An address that presents references which nobody issued is told to stop. A live reference from there still passes, and
// one that was live gets its 401: that is what its client renews it on, and others behind the same address are not its doing.
func TestBadReferenceBrake(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.BadReferencesPerAddress = 0.001 })
	g := h.full()
	h.refused(h.get("/orders/1", bearer("bad")), 401, "invalid_token")
	h.refused(h.get("/orders/1", bearer("bad")), 429, "too_many_bad_references")
	gone := h.full()
	h.revoke(revocation.Token, gone.jti)
	for range 3 {
		h.refused(h.get("/orders/1", bearer(gone.reference)), 401, "invalid_token")
	}
	if a := h.get("/orders/1", bearer(g.reference)); a.status != 200 {
		t.Errorf("live reference from a braked address: %d %s, want 200", a.status, a.body)
	}
	off := newHouse(t, func(c *gateway.Config) { c.BadReferencesPerAddress = -1 })
	for range 100 {
		if a := off.get("/orders/1", bearer("bad")); a.status != 401 {
			t.Fatalf("brake is off: %d %s, want 401", a.status, a.body)
		}
	}
}

// The listener's limits are all set, and cleartext HTTP/2 is off.
func TestServerHasEveryLimit(t *testing.T) {
	t.Parallel()
	s := gateway.Server(http.NotFoundHandler())
	if s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != 60*time.Second || s.MaxHeaderBytes != 32<<10 || s.ErrorLog == nil ||
		!s.DisableGeneralOptionsHandler || s.Protocols == nil || s.Protocols.UnencryptedHTTP2() || s.Protocols.HTTP2() || !s.Protocols.HTTP1() {
		t.Errorf("server is %+v", s)
	}
}

// The HTTP/2 preface in clear is no request.
func TestNoCleartextHTTP2(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	conn, r := h.dial()
	h.write(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if status, _ := h.head(r); status < 400 {
		t.Errorf("preface was answered with %d; want an HTTP/1.1 refusal", status)
	}
	h.nothing()
}
