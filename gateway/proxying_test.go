package gateway_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
)

// H1: what Connection names is removed, but nothing that the edge adds.
func TestH1_ConnectionCannotRemoveWhatTheEdgeAdds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, name := range []string{"Connection", "connection", "CONNECTION"} {
		a := h.get("/orders/1", bearer(g.reference), "X-Mine: secret", "X-User: root",
			name+": close, authorization, X-Forwarded-For, x-forwarded-host,x-forwarded-proto , VIA, x-request-id, traceparent, x-user, x-mine")
		r := h.one()
		if a.status != 200 || r.header.Get("Authorization") != "Bearer "+g.jwt["orders-api"] {
			t.Errorf("%s: %d, upstream got Authorization %q; want 200 and the JWT", name, a.status, r.header.Get("Authorization"))
		}
		for _, kept := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "X-Request-Id"} {
			if r.header.Get(kept) == "" {
				t.Errorf("%s: upstream got no %s", name, kept)
			}
		}
		for _, gone := range []string{"X-Mine", "X-User", "Connection"} {
			if v, ok := r.header[gone]; ok {
				t.Errorf("%s: upstream got %s %q", name, gone, v)
			}
		}
	}
}

// H1: nor can it remove what a handler of Use adds, though that happens before the proxy's own step.
func TestH1_ConnectionCannotRemoveWhatAHandlerAdds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.edge.Use(func(c *gin.Context) { c.Request.Header.Set("X-Tenant", "acme") })
	h.get("/orders/1", bearer(h.full().reference), "Connection: close, x-tenant, X-Tenant", "X-Tenant: evil")
	if got := h.one().header["X-Tenant"]; len(got) != 1 || got[0] != "acme" {
		t.Errorf("upstream got X-Tenant %q, want the handler's", got)
	}
}

// H2: hop-by-hop fields never pass, nor do trailers, in either direction.
func TestH2_HopByHopFieldsAndTrailersStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "theirs")
		w.Header().Set("Trailer", "Gateway-Error, X-Sum")
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("Gateway-Error", "forged")
		w.Header().Set("X-Sum", "17")
		w.Header().Set(http.TrailerPrefix+"X-Request-Id", "forged")
		w.Header().Set(http.TrailerPrefix+"Coatcheck-Decision", "forged")
	})
	g := h.full()
	a := h.get("/orders/1", bearer(g.reference), "Keep-Alive: timeout=9", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eDp5",
		"TE: gzip", "HTTP2-Settings: AAMAAABk", "Upgrade: h2c")
	r := h.one()
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Http2-Settings", "Upgrade", "Connection", "Transfer-Encoding"} {
		if v, ok := r.header[name]; ok {
			t.Errorf("upstream got %s %q", name, v)
		}
	}
	for name, want := range map[string]string{
		"Keep-Alive": "", "Proxy-Authenticate": "", "X-Hop": "", "Gateway-Error": "", "Trailer-Gateway-Error": "", "Trailer-X-Request-Id": "", "Trailer-Coatcheck-Decision": "", "Trailer-X-Sum": "17",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("client got %s %q, want %q", name, got, want)
		}
	}
	h.get("/orders/1", bearer(g.reference), "TE: gzip, trailers;q=0.5, trailers", "Connection: TE")
	if diff := cmp.Diff([]string{"trailers"}, h.one().header["Te"]); diff != "" {
		t.Errorf("TE: trailers says what the client can read (RFC 9110 §10.1.4), it must pass, alone:\n%s", diff)
	}
}

// H10: trailers of a request arrive neither as trailers nor as headers.
func TestH10_RequestTrailersAreDropped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	a := h.send("POST", "/orders", "", bearer(g.reference), "Transfer-Encoding: chunked", "Trailer: Authorization, X-Forwarded-For, X-Sum",
		"\r\n3\r\nabc\r\n0\r\nAuthorization: Bearer forged\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 1\r\n")
	r := h.one()
	if a.status != 200 || r.body != "abc" || len(r.trailer) > 0 || r.header.Get("Authorization") != "Bearer "+g.jwt["orders-api"] ||
		strings.Contains(r.header.Get("X-Forwarded-For"), "6.6.6.6") || r.header.Get("X-Sum") != "" {
		t.Errorf("answer %d; upstream got body %q, trailer %v, header %v", a.status, r.body, r.trailer, r.header)
	}
}

// H3: Via names the protocol and a pseudonym, after what was there; a request that comes back is a loop.
func TestH3_ViaAndLoops(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.get("/orders/1", bearer(g.reference), "Via: 1.0 fred, HTTP/1.1 p.example.net (comment)")
	via := h.one().header.Values("Via")
	if len(via) != 2 || via[0] != "1.0 fred, HTTP/1.1 p.example.net (comment)" || !strings.HasPrefix(via[1], "1.1 coatcheck-") {
		t.Fatalf("upstream got Via %q, want the client's and then 1.1 and a pseudonym", via)
	}
	for _, line := range []string{via[1], "1.0 fred, " + via[1], strings.ToUpper(via[1]), via[1] + " (comment), 1.1 other"} {
		h.refused(h.get("/orders/1", bearer(g.reference), "Via: "+line), 508, "loop_detected")
	}
	other := newHouse(t)
	if a := other.get("/docs/1", "Via: "+via[1]); a.status != 200 {
		t.Errorf("Via of another edge: %d, want 200: two edges in a row are no loop", a.status)
	}
}

// H5: TRACE, CONNECT and their kin never pass; Max-Forwards is counted for OPTIONS.
func TestH5_TraceAndConnectAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, method := range []string{"TRACE", "CONNECT", "TRACK"} {
		for _, path := range []string{"/orders/1", "/any", "/docs/1"} {
			a := h.send(method, path, "", bearer(g.reference))
			h.refused(a, 405, "method_not_allowed")
			if a.header.Get("Allow") == "" || strings.Contains(a.header.Get("Allow"), method) {
				t.Errorf("%s %s: Allow %q, want other methods", method, path, a.header.Get("Allow"))
			}
		}
	}
	if a := h.send("CONNECT", "internal:443", ""); a.status != 400 {
		t.Errorf("CONNECT internal:443: %d %s, want 400", a.status, a.body)
	}
	h.nothing()
}

func TestH5_MaxForwardsOfOptions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.send("OPTIONS", "/orders/1", "", bearer(g.reference), "Max-Forwards: 7")
	if got := h.one().header.Get("Max-Forwards"); got != "6" {
		t.Errorf("upstream got Max-Forwards %q, want 6", got)
	}
	a := h.send("OPTIONS", "/orders/1", "", "Max-Forwards: 0")
	if a.status != 204 || !strings.Contains(a.header.Get("Allow"), "OPTIONS") {
		t.Errorf("Max-Forwards 0: %d with Allow %q, want 204 with OPTIONS in it", a.status, a.header.Get("Allow"))
	}
	h.nothing()
	h.refused(h.send("OPTIONS", "/orders/1", "", bearer(g.reference), "Max-Forwards: -1"), 400, "invalid_max_forwards")
	h.get("/orders/1", bearer(g.reference), "Max-Forwards: 0")
	h.one()
}

// OPTIONS needs credentials like any other method, and carries none past the edge.
func TestOptionsIsNotAWayIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.refused(h.send("OPTIONS", "/orders/1", ""), 401, "credentials_required")
	h.refused(h.send("OPTIONS", "/orders/1", "", "Origin: https://x.example", "Access-Control-Request-Method: GET"), 401, "credentials_required")
	h.refused(h.send("OPTIONS", "/docs/1", "", bearer(g.reference)), 405, "method_not_allowed")
	h.refused(h.send("OPTIONS", "*", ""), 400, "invalid_target")
	h.send("OPTIONS", "/orders/1", "", bearer(g.reference))
	if got := h.one().header.Get("Authorization"); got != "Bearer "+g.jwt["orders-api"] {
		t.Errorf("upstream got Authorization %q, want the JWT", got)
	}
}

// H12: what matched is what is forwarded, byte for byte; what has two readings is refused.
func TestH12_MatchedIsForwarded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for sent, want := range map[string]string{
		"/orders/17?b=2&a=1&a=":                "/orders/17?b=2&a=1&a=",
		"/orders/caf%c3%a9?q=%zz":              "",
		"/orders/a%20b?":                       "/orders/a%20b?",
		"/%6Frders/1?x=%2F..%2F":               "/orders/1?x=%2F..%2F",
		"/orders":                              "/orders",
		"/orders/a+b?c+d=e%20f&&":              "/orders/a+b?c+d=e%20f&&",
		"/v1/invoices?x":                       "/invoices?x",
		"http://edge.example.com/any":          "/any",
		"/any?" + strings.Repeat("a&", 12_000): "/any?" + strings.Repeat("a&", 12_000), // ReverseProxy would keep 10,000
	} {
		a := h.get(sent, bearer(g.reference))
		if want == "" {
			h.refused(a, 400, "invalid_query")
		} else if got := h.one().line; got != want {
			t.Errorf("%s arrived as %s, want %s", sent, got, want)
		}
	}
	for _, path := range []string{
		"/docs/../orders/1", "/docs/%2e%2e/orders/1", "/docs//1", "/docs/..;/orders", "/docs/a%2fb", "/docs/a%5cb", `/docs/a\b`, "/docs/%00", "//orders/1", "/orders/.", "*",
	} {
		h.refused(h.get(path, bearer(g.reference)), 400, "invalid_target")
	}
	h.refused(h.get("/orders/1?b;c=1", bearer(g.reference)), 400, "invalid_query")
	if a := h.get("/docs/%zz", bearer(g.reference)); a.status != 400 { // net/http's own refusal
		t.Errorf("/docs/%%zz: %d, want 400", a.status)
	}
	h.nothing()
}

// H13: `get` is not GET, not even where the route takes any method.
func TestH13_MethodsAreCaseSensitive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, method := range []string{"get", "Get", "gET", "post", "G3T"} {
		for _, path := range []string{"/orders/1", "/any"} {
			h.refused(h.send(method, path, "", bearer(g.reference)), 405, "method_not_allowed")
		}
	}
	h.refused(h.send("get", "/nowhere", ""), 404, "no_route")
}

// H15: Accept-Encoding is neither invented nor changed, and bodies pass as they are.
func TestH15_BodiesAreNotTransformed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.get("/orders/1", bearer(g.reference))
	if v, ok := h.one().header["Accept-Encoding"]; ok {
		t.Errorf("upstream got Accept-Encoding %q, the client has sent none", v)
	}
	for _, coding := range []string{"gzip", "br;q=0.5, zstd", "identity", ""} {
		h.get("/orders/1", bearer(g.reference), "Accept-Encoding: "+coding)
		if diff := cmp.Diff([]string{coding}, h.one().header["Accept-Encoding"]); diff != "" {
			t.Errorf("Accept-Encoding %q arrived changed:\n%s", coding, diff)
		}
	}
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "zipped")
		_ = z.Close()
	})
	for _, header := range []string{"Accept-Encoding: gzip", "X: y"} {
		a := h.get("/orders/1", bearer(g.reference), header)
		if a.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(a.body, "\x1f\x8b") {
			t.Errorf("%s: Content-Encoding %q and body %q, want it still zipped", header, a.header.Get("Content-Encoding"), a.body)
		}
	}
}

// H8: after a chunked request the connection is not used again, so that a length sent beside it frames nothing.
func TestH8_NoSecondRequestAfterAChunkedOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	conn, r := h.dial()
	h.write(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+bearer(g.reference)+"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		"GET /docs/smuggled HTTP/1.1\r\nHost: e\r\n\r\n")
	a := h.read(r, "POST")
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after answer %d the connection gave %v, want it closed", a.status, err)
	}
	for _, seen := range h.service.requests() {
		if strings.Contains(seen.line, "smuggled") {
			t.Error("the second request was served")
		}
	}
}

// H6: an upstream's early hints pass; credentials are judged before a client is told to go on sending.
func TestH6_InformationalAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("Gateway-Error", "forged")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.WriteHeader(404)
	})
	conn, r := h.dial()
	h.write(conn, "GET /orders/1 HTTP/1.1\r\nHost: e\r\n"+bearer(g.reference)+"\r\n\r\n")
	if status, hint := h.head(r); status != 103 || hint.Get("Link") == "" || hint.Get("Gateway-Error") != "" {
		t.Fatalf("first came %d %v; want the 103 with its Link alone", status, hint)
	}
	final := h.read(r, "GET")
	want := http.Header{"X-Request-Id": final.header["X-Request-Id"], "Content-Length": {"0"}, "Date": final.header["Date"]}
	if diff := cmp.Diff(want, final.header); final.status != 404 || final.body != "" || diff != "" {
		t.Errorf("then came %d %q; header differs:\n%s", final.status, final.body, diff)
	}
}

func TestH6_RefusedBeforeContinue(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, header := range []string{"X: y", bearer("bad")} {
		if status := h.firstStatus(header); status != 401 {
			t.Errorf("Expect: 100-continue with %q: the first answer is %d, want 401", header, status)
		}
	}
	h.nothing()
	if status := h.firstStatus(bearer(g.reference)); status != 100 {
		t.Errorf("Expect: 100-continue with a live reference: the first answer is %d, want 100", status)
	}
}

// firstStatus is what a client that waits for 100 is told, before it has sent its body.
func (h *house) firstStatus(header string) int {
	h.t.Helper()
	conn, r := h.dial()
	h.write(conn, "POST /orders HTTP/1.1\r\nHost: e\r\n"+header+"\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	status, _ := h.head(r)
	return status
}

// H11: repeated end-to-end fields keep their order, and what is nobody's business passes.
func TestH11_EndToEndFieldsPass(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"b=1", "a=2"}
		w.Header().Set("Server", "theirs")
		w.Header().Set("Location", "https://elsewhere.example/x?y")
		w.WriteHeader(302)
	})
	a := h.get("/orders/1", bearer(h.full().reference), "Accept-Language: de", "X-Custom: 1", "X-Custom: 2", "Cookie: c=d", "If-None-Match: \"x\"")
	r := h.one()
	want := http.Header{"Accept-Language": {"de"}, "X-Custom": {"1", "2"}, "Cookie": {"c=d"}, "If-None-Match": {`"x"`}}
	for name, values := range want {
		if diff := cmp.Diff(values, r.header[name]); diff != "" {
			t.Errorf("upstream's %s differs: %s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"b=1", "a=2"}, a.header["Set-Cookie"]); diff != "" || a.status != 302 || a.header.Get("Location") != "https://elsewhere.example/x?y" || a.header.Get("Server") != "theirs" {
		t.Errorf("client got %d %v, want the redirect as it was, not followed", a.status, a.header)
	}
}

// An upstream that dies within an answer leaves a broken one, never one that looks whole.
func TestCutAnswerIsNeverComplete(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	half := strings.Repeat("half", 4096) // more than the edge holds back before it sends
	for name, head := range map[string]string{
		"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + half,
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n" + half + "\r\n",
	} {
		h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, head)
			if c, ok := conn.(*net.TCPConn); ok {
				_ = c.CloseWrite()
			}
			_ = conn.Close()
		})
		a := h.get("/orders/1", bearer(g.reference))
		if a.status != 200 || a.err == nil {
			t.Errorf("%s: client read %d, %d bytes and error %v, want an unexpected end", name, a.status, len(a.body), a.err)
		}
	}
	if e := h.log.entry(t, 1); e["decision"] != "error" || e["reason"] != "upstream_cut" {
		t.Errorf("log says %v, want upstream_cut", e)
	}
}
