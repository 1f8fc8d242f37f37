package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/google/go-cmp/cmp"
)

// What an upstream may believe because it believes the edge is taken off on public routes too, where the edge puts
// nothing in its place.
func TestIdentityIsStrippedOnEveryRoute(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	forged := []string{
		"X-User: root", "X_User: root", "x-user-id: 1", "Remote-User: root", "REMOTE_USER: root", "X-Forwarded-User: root", "X-Forwarded-Email: root@x",
		"X-Auth-Request-Email: root@x", "Client-Cert: :MIIB:", "SSL_CLIENT_S_DN: CN=root", "X-Forwarded-Client-Cert: Subject=root", "X-Real-IP: 10.0.0.1",
		"X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-HTTP-Method-Override: DELETE", "X-Forwarded-Prefix: /admin", "Forwarded: for=10.0.0.1",
		"Coatcheck-Decision: route=x", "Gateway-Error: x", "Proxy: http://evil.example",
	}
	for _, c := range []struct{ path, credentials string }{{"/docs/1", "Accept-Language: none"}, {"/docs/1", bearer(g.reference)}, {"/orders/1", bearer(g.reference)}} {
		if a := h.get(c.path, append(slices.Clone(forged), c.credentials)...); a.status != 200 {
			t.Fatalf("GET %s: %d %s, want 200", c.path, a.status, a.body)
		}
		got := h.one().header
		if sent := strings.HasPrefix(c.path, "/orders"); (got.Get("Authorization") != "") != sent {
			t.Errorf("GET %s: upstream got Authorization %q, want one: %v", c.path, got.Get("Authorization"), sent)
		}
		for _, name := range []string{"Accept-Language", "Authorization", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"} {
			got.Del(name) // the edge's own
		}
		if diff := cmp.Diff(http.Header{}, got); diff != "" {
			t.Errorf("GET %s: what the client made up has arrived:\n%s", c.path, diff)
		}
	}
}

// A public route is public by its path alone: no header, query or fragment of a client opens another one.
func TestNothingButThePathMakesARequestPublic(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{
		"X-Original-URL: /docs/1", "X-Original-URI: /docs/1", "X-Rewrite-URL: /docs/1", "X-Forwarded-Uri: /docs/1", "X-Forwarded-Path: /docs/1",
		"X-Forwarded-Prefix: /docs", "X-Forwarded-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1",
		"User-Agent: kube-probe/1.30", "Referer: http://edge.example.com/docs/1", "Origin: http://edge.example.com", "Cookie: access=granted", "Upgrade-Insecure-Requests: 1",
		"Connection: Upgrade\r\nUpgrade: websocket", "Content-Length: 0", "Expect: 100-continue",
	} {
		h.refused(h.get("/orders/1", header), 401, "credentials_required")
	}
	for _, target := range []string{"/orders/1?/docs/1", "/orders/1?x=/../../docs/1", "/orders/1?public=true", "/orders/1?X-Original-URL=/docs/1", "/orders/docs/1", "/any?/docs/"} {
		h.refused(h.get(target), 401, "credentials_required")
	}
	for target, code := range map[string]string{"/orders/1#/docs/1": "invalid_target", "/docs/1#/../orders/1": "invalid_target", "/orders/1?x#/docs/1": "invalid_query"} {
		h.refused(h.get(target), 400, code)
	}
}

// The host is lower-cased once, for the table and for nothing else; a path keeps its case, also behind escapes. What a
// client says about its host in other fields does not count.
func TestHostIsFoldedAndPathIsNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) {
		table, err := routes.New([]routes.Route{
			{Name: "admin", Match: "admin.example.com/{rest...}", Upstream: "orders", Audience: "orders-api"},
			{Name: "files", Match: "/Files/{rest...}", Upstream: "orders", Public: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Table = table
	})
	status := func(host, path string, header ...string) int {
		conn, r := h.dial()
		h.write(conn, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n"+strings.Join(append(header, "X: y"), "\r\n")+"\r\n\r\n")
		return h.read(r, "GET").status
	}
	for _, host := range []string{"admin.example.com", "ADMIN.Example.com", "admin.example.com.", "Admin.example.com:8443", "admin.EXAMPLE.com.:80"} {
		if got := status(host, "/Files/1"); got != 401 {
			t.Errorf("Host %s: %d, want 401: the host's own rule comes before the public one", host, got)
		}
	}
	if got := status("edge.example.com", "http://Admin.example.com/Files/1"); got != 401 {
		t.Errorf("absolute form: %d, want 401: its authority is the host", got)
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-HTTP-Host-Override", "X-Original-Host", "Forwarded"} {
		if got := status("admin.example.com", "/Files/1", name+": edge.example.com"); got != 401 {
			t.Errorf("%s names another host: %d, want 401", name, got)
		}
	}
	h.nothing()
	for path, want := range map[string]int{"/Files/1": 200, "/%46iles/1": 200, "/files/1": 404, "/%66iles/1": 404, "/FILES/1": 404, "/%46ILES/1": 404} {
		if got := status("edge.example.com", path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// The first of several values must not be the one that is judged and the last the one that is used.
func TestRepeatedFieldsAreA400(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, name := range []string{"Content-Type", "Origin", "Max-Forwards", "Sec-WebSocket-Key", "Sec-WebSocket-Version"} {
		h.refused(h.get("/orders/1", bearer(g.reference), name+": 1", name+": 2"), 400, "invalid_header")
	}
}

// H9: a request that is framed badly (RFC 9112 §2.2, §5, §6.1, §6.3) is refused, or arrives as one request in our own framing;
// what follows it on the connection is never a request of its own.
func TestH9_BadFramingIsNotForwarded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	const smuggled = "GET /docs/smuggled HTTP/1.1\r\nHost: e\r\n\r\n"
	long := 64 << 10 // more than is read of any of these
	for name, c := range map[string]struct {
		head, rest string
		status     int
	}{
		"chunked is not the last coding": {"Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n", 501},
		"chunked twice":                  {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 501},
		"chunked spelled oddly":          {"Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n", "abc", 400},
		"an unknown coding":              {"Transfer-Encoding: gzip\r\n", "", 501},
		"identity and a length":          {"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc", 501},
		"two lengths":                    {"Content-Length: 3\r\nContent-Length: 4\r\n", "abcd", 400},
		"two lengths in a line":          {"Content-Length: 3, 4\r\n", "abcd", 400},
		"a length with a sign":           {"Content-Length: +3\r\n", "abc", 400},
		"a length below nothing":         {"Content-Length: -3\r\n", "", 400},
		"a hexadecimal length":           {"Content-Length: 0x3\r\n", "abc", 400},
		"an overflowing length":          {"Content-Length: 18446744073709551619\r\n", "abc", 400},
		"space before the colon":         {"Content-Length : 3\r\n", "abc", 400},
		"a field without a name":         {": x\r\n", "", 400},
		"a space in a name":              {"X Y: a\r\n", "", 400},
		"a NUL in a value":               {"X: a\x00b\r\n", "", 400},
		"a bare CR in a value":           {"X: a\rContent-Length: 3\r\n", "", 400},
		"a chunk with a sign":            {"Transfer-Encoding: chunked\r\n", "+3\r\nabc\r\n0\r\n\r\n", 400},
		"a chunk that says too little":   {"Transfer-Encoding: chunked\r\n", "1\r\nabc\r\n0\r\n\r\n", 400},
		"a chunk of 17 digits":           {"Transfer-Encoding: chunked\r\n", "00000000000000003\r\nabc\r\n0\r\n\r\n", 400},
		"a chunk extension without end":  {"Transfer-Encoding: chunked\r\n", "3;" + strings.Repeat("x", long) + "\r\nabc\r\n0\r\n\r\n", 400},
		"trailers without end":           {"Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n" + strings.Repeat("X: y\r\n", long) + "\r\n", 400},
	} {
		conn, r := h.dial()
		// The edge may hang up before it has been told everything; what it answered counts.
		_, _ = io.WriteString(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+bearer(g.reference)+"\r\n"+c.head+"\r\n"+c.rest+smuggled)
		a := h.read(r, "POST")
		if _, err := io.Copy(io.Discard, r); a.status != c.status || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: answer %d, and then %v; want %d and the connection closed", name, a.status, err, c.status)
		}
	}
	for _, got := range h.service.requests() {
		if got.line != "/orders" {
			t.Errorf("upstream got %s %s", got.method, got.line)
		}
	}
	h = newHouse(t)
	h.get("/docs/1", "X: a\r\n b") // obs-fold: replaced by a space (RFC 9112 §5.2)
	if got := h.one().header.Get("X"); got != "a b" {
		t.Errorf("a continued line arrived as %q, want it in one line", got)
	}
}
