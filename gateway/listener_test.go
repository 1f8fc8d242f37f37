package gateway_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// What net/http itself cannot read as a request never reaches the edge. docs/errors.md says so, row by row, since whoever
// looks for a code, a request id or a log line of these will find none.
func TestRefusalsOfTheListenerAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	const line, host = "GET /docs/1 HTTP/1.1\r\n", "Host: e\r\n"
	for _, c := range []struct {
		row     string
		status  int
		request string
	}{
		{"a space or a control in the target, or no three words in the request line", 400, "GET /docs/a b HTTP/1.1\r\n" + host},
		{"a space or a control in the target, or no three words in the request line", 400, "GET /docs/\x01 HTTP/1.1\r\n" + host},
		{"a space or a control in the target, or no three words in the request line", 400, "GET\r\n" + host},
		{"`%` without two hex digits in the path", 400, "GET /docs/%zz HTTP/1.1\r\n" + host},
		{"no `Host`, two of them, or one with characters that none has", 400, line},
		{"no `Host`, two of them, or one with characters that none has", 400, line + host + host},
		{"no `Host`, two of them, or one with characters that none has", 400, line + "Host: e e\r\n"},
		{"a field line without a colon, with a name that is none, or with a control in its value", 400, line + host + "X\r\n"},
		{"a field line without a colon, with a name that is none, or with a control in its value", 400, line + host + "X Y: a\r\n"},
		{"a field line without a colon, with a name that is none, or with a control in its value", 400, line + host + "X: a\x00\r\n"},
		{"a `Content-Length` that is no number, or several that differ", 400, line + host + "Content-Length: x\r\n"},
		{"a `Content-Length` that is no number, or several that differ", 400, line + host + "Content-Length: 1\r\nContent-Length: 2\r\n"},
		{"an `Expect` other than `100-continue`", 417, line + host + "Expect: tea\r\n"},
		{"request line and headers beyond 36 KiB", 431, line + host + "X: " + strings.Repeat("x", 36<<10) + "\r\n"},
		{"a `Transfer-Encoding` other than `chunked`, once", 501, line + host + "Transfer-Encoding: gzip\r\n"},
		{"a `Transfer-Encoding` other than `chunked`, once", 501, line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
		{"a version that is not HTTP/1", 505, "GET /docs/1 HTTP/3.0\r\n" + host},
	} {
		conn, r := h.dial()
		_, _ = io.WriteString(conn, c.request+"\r\n") // the listener may hang up before it has been told everything
		a := h.read(r, "GET")
		if a.status != c.status || strings.Contains(a.body, "{") {
			t.Errorf("%.60q: %d %q, want %d in plain text", c.request, a.status, a.body, c.status)
		}
		for _, name := range []string{"Gateway-Error", "X-Request-Id"} {
			if a.header.Get(name) != "" {
				t.Errorf("%.60q: %s is %q: the edge has answered, docs/errors.md says that it does not", c.request, name, a.header.Get(name))
			}
		}
		if row := fmt.Sprintf("| %s | %d |", c.row, c.status); !strings.Contains(string(page), row) {
			t.Errorf("docs/errors.md has no row %q", row)
		}
	}
	h.get("/docs/1")
	h.one()
	if first := h.log.entry(t, 0); first["status"] != 200.0 {
		t.Errorf("the log's first line is %v: what the listener refuses has one, docs/errors.md says that it has none", first)
	}
}

// net/http adds 4 KiB to MaxHeaderBytes: whatever fits in 32 KiB passes, nothing beyond 36 KiB does.
func TestHeaderBytes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const around = len("GET /docs/1 HTTP/1.1\r\nHost: edge.example.com\r\nX: \r\n\r\n")
	for size, want := range map[int]int{32 << 10: 200, 36<<10 + 1: 431} {
		if a := h.get("/docs/1", "X: "+strings.Repeat("x", size-around)); a.status != want {
			t.Errorf("a header of %d bytes: %d, want %d", size, a.status, want)
		}
	}
}

// What has two spellings and one meaning is not refused but written anew: upstreams get one spelling, ours.
func TestNormalisedRequests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	credentials := bearer(g.reference) + "\r\n"
	for _, c := range []struct {
		name, request, body string
		length              int64 // -1: chunked
		host, x             string
	}{
		{"the same length twice", "POST /orders HTTP/1.1\r\nHost: e\r\n" + credentials + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, "e", ""},
		{"no length twice", "GET /docs/1 HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "", 0, "e", ""},
		{"a length beside chunks", "POST /orders HTTP/1.1\r\nHost: e\r\n" + credentials + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", -1, "e", ""},
		{"a continued line", "GET /docs/1 HTTP/1.1\r\nHost: e\r\nX: a\r\n \t b\r\n\r\n", "", 0, "e", "a b"},
		{"a continued line of a managed field", "GET /docs/1 HTTP/1.1\r\nHost: e\r\nX-User: a\r\n b\r\nX: c\r\n\r\n", "", 0, "e", "c"},
		{"lines that end in LF", "GET /docs/1 HTTP/1.1\nHost: e\nX: a\n\n", "", 0, "e", "a"},
		{"blanks around a value", "GET /docs/1 HTTP/1.1\r\nHost: e\r\nX: \t a \r\n\r\n", "", 0, "e", "a"},
		{"an absolute target beside another Host", "GET http://target.example/docs/1 HTTP/1.1\r\nHost: e\r\n\r\n", "", 0, "target.example", ""},
		{"HTTP/1.0", "GET /docs/1 HTTP/1.0\r\nHost: e\r\n\r\n", "", 0, "e", ""},
	} {
		conn, r := h.dial()
		h.write(conn, c.request)
		if a := h.read(r, "GET"); a.status != 200 {
			t.Errorf("%s: %d %s, want 200", c.name, a.status, a.body)
			continue
		}
		got := h.one()
		if got.body != c.body || got.length != c.length || len(got.header["Content-Length"]) > 1 || got.header.Get("X-User") != "" {
			t.Errorf("%s: upstream got %q of length %d with %v, want %q of length %d", c.name, got.body, got.length, got.header, c.body, c.length)
		}
		if host, x := got.header.Get("X-Forwarded-Host"), got.header.Get("X"); host != c.host || x != c.x || got.proto != "HTTP/1.1" {
			t.Errorf("%s: upstream got host %q, X %q by %s; want %q, %q by HTTP/1.1", c.name, host, x, got.proto, c.host, c.x)
		}
	}
}
