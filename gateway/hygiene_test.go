package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// headerOf reads field lines as net/http would.
func headerOf(t testing.TB, lines ...string) http.Header {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("read %q: %v", lines, err)
	}
	return r.Header
}

func scrubbed(t testing.TB, lines ...string) http.Header {
	t.Helper()
	h := headerOf(t, lines...)
	if err := scrub(h); err != nil {
		t.Fatalf("scrub %q: %v", lines, err)
	}
	return h
}

// S1, F1: every managed name goes, in every spelling.
func TestS1_ManagedNamesNeverPass(t *testing.T) {
	t.Parallel()
	names := []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-User",
		"X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
		"Client-Cert", "Client-Cert-Chain", "SSL-Client-Cert", "SSL-Client-S-DN", "X-SSL-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-User", "X-User-Id", "X-Auth-Request-Email",
		"X-Authenticated-User", "Remote-User", "Remote-Groups", "X-Webauth-User", "X-Consumer-Custom-Id", "Coatcheck-Decision", "Gateway-Error", "Proxy", "Proxy-Authorization", "Proxy-Connection", "HTTP2-Settings",
		"Traceparent", "Tracestate", "Baggage", "X-B3-TraceId", "Keep-Alive", "TE", "Upgrade", "X-MS-Client-Principal", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data", "Early-Data",
		"Impersonate-User", "Impersonate-Extra-Scopes", "X-Authentik-Username", "WL-Proxy-Client-IP", "WL-Proxy-SSL", "X-Hasura-Role", "X-Auth", "X-Principal", "X-ForwardedFor", "X-ClientIP",
		"X-Custom-IP-Authorization", "X-SSL", "X-TLS", "X-HTTP-DestinationURL", "X-Override-URL", "Request-URI",
	}
	for _, name := range names {
		for _, spelled := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1), strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.ReplaceAll(name, "-", "."),
		} {
			h := headerOf(t, spelled+": x", spelled+": y", "Accept: */*")
			if err := scrub(h); err == nil && len(h) != 1 { // two Upgrade lines are an error
				t.Errorf("%s: %v passed", spelled, h)
			}
			h = http.Header{spelled: {"x"}} // as a handler may have written it, past net/http's spelling
			if err := scrub(h); err != nil || len(h) != 0 {
				t.Errorf("%s: %v passed (%v)", spelled, h, err)
			}
		}
	}
}

// H11: what the edge does not know passes unchanged, repeated lines in their order.
func TestH11_UnknownFieldsPassUnchanged(t *testing.T) {
	t.Parallel()
	lines := []string{
		"Accept: a", "Accept: b", "Accept: a", "Cookie: c=1", "Authorization: Bearer x", "X-Custom: 1", "X-Usage: 2", "Content-Type: text/plain", "Idempotency-Key: k", "If-None-Match: \"e\"",
		"X-Amz-Date: d", "Accept-Encoding: br", "Range: bytes=0-1", "Via: 1.1 x", "X-Request-Id: r", "Origin: https://o", "Authority: a", "Sec-Fetch-Mode: cors",
	}
	want := headerOf(t, lines...)
	if diff := cmp.Diff(want, scrubbed(t, lines...)); diff != "" {
		t.Errorf("(-sent +passed):\n%s", diff)
	}
}

// H1: fields named in Connection go, in any case and over several lines; Authorization, which the edge itself reads, stays.
func TestH1_ConnectionNamesAreRemoved(t *testing.T) {
	t.Parallel()
	got := scrubbed(t, "Connection: close, X-Secret", "connection: x-OTHER ,keep-alive,,authorization, Host", "X-Secret: 1", "X-Other: 2", "X-Kept: 3", "Authorization: Bearer r", "Keep-Alive: timeout=5")
	if diff := cmp.Diff(http.Header{"X-Kept": {"3"}, "Authorization": {"Bearer r"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// H1: what the edge adds after scrubbing cannot be named away, through the real proxy.
func TestH1_ConnectionCannotRemoveWhatTheEdgeAdds(t *testing.T) {
	t.Parallel()
	var got http.Header
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(upstream.Close)
	behind, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = headerOf(t, "Connection: authorization, x-forwarded-for, traceparent, x-user", "Connection: Authorization", "X-User: evil", "Traceparent: evil", "Authorization: Bearer reference")
	if err := scrub(r.Header); err != nil {
		t.Fatal(err)
	}
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(behind)
		for _, name := range []string{"Authorization", "X-Forwarded-For", "Traceparent", "X-User"} {
			p.Out.Header.Set(name, "ours")
		}
	}}).ServeHTTP(httptest.NewRecorder(), r)
	for _, name := range []string{"Authorization", "X-Forwarded-For", "Traceparent", "X-User"} {
		if diff := cmp.Diff([]string{"ours"}, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// H2: fields of one connection never pass, save TE: trailers.
func TestH2_HopByHopNeverPasses(t *testing.T) {
	t.Parallel()
	got := scrubbed(t, "Keep-Alive: 5", "TE: gzip;q=1, Trailers", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "Upgrade: x", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "Connection: keep-alive, HTTP2-Settings")
	if diff := cmp.Diff(http.Header{"Te": {"trailers"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// H4: one upgrade, spelled out and alone.
func TestH4_OnlyWebSocketIsAnUpgrade(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"},
		{"Connection: Upgrade", "Upgrade: H2C"},
		{"Connection: upgrade", "Upgrade: h2c, websocket"},
		{"Connection: upgrade", "Upgrade: websocket, h2c"},
		{"Connection: upgrade", "Upgrade: TLS/1.0"},
		{"Connection: upgrade", "Upgrade: websocket/13"},
		{"Upgrade: websocket"},
		{"Connection: keep-alive", "Upgrade: websocket"},
		{"Connection: upgrade"},
		{"Connection: upgrade", "Upgrade:"},
		{"Connection: xupgrade", "Upgrade: websocket"},
	} {
		if h := scrubbed(t, lines...); len(h) != 0 || asksWebSocket(h) {
			t.Errorf("%q: %v passed", lines, h)
		}
	}
	for _, lines := range [][]string{{"Connection: Upgrade", "Upgrade: websocket"}, {"connection: keep-alive, UPGRADE", "upgrade: WebSocket"}, {"Connection: keep-alive", "Connection: upgrade", "Upgrade: websocket"}} {
		h := scrubbed(t, append(lines, "Sec-WebSocket-Key: k")...)
		want := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {"k"}}
		if diff := cmp.Diff(want, h); diff != "" || !asksWebSocket(h) {
			t.Errorf("%q (-want +got):\n%s", lines, diff)
		}
	}
}

// The first of several values must not be the one that is checked and the last the one that is used.
func TestRepeatedPolicyFieldsAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range single {
		if err := scrub(http.Header{http.CanonicalHeaderKey(name): {"1", "1"}}); !errors.Is(err, errHeader) {
			t.Errorf("two %s: %v, want errHeader", name, err)
		}
	}
}

func TestHeaderLinesAreBounded(t *testing.T) {
	t.Parallel()
	many := http.Header{"Cookie": make([]string, maxHeaderLines-50)}
	for i := range 50 {
		many.Set(fmt.Sprintf("X-%d", i), "v")
	}
	if err := scrub(maps.Clone(many)); err != nil {
		t.Errorf("%d lines: %v", maxHeaderLines, err)
	}
	many.Add("X-0", "one more")
	if err := scrub(many); !errors.Is(err, errHeaderSize) {
		t.Errorf("%d lines: %v, want errHeaderSize", maxHeaderLines+1, err)
	}
}

// H5: Max-Forwards of OPTIONS ends at the edge when it is spent.
func TestH5_MaxForwards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, sent, passed string
		last, bad            bool
	}{
		{"OPTIONS", "", "", false, false},
		{"OPTIONS", "0", "0", true, false},
		{"OPTIONS", "1", "0", false, false},
		{"OPTIONS", "10", "9", false, false},
		{"GET", "0", "0", false, false},
		{"OPTIONS", "-1", "-1", false, true},
		{"OPTIONS", "+1", "+1", false, true},
		{"OPTIONS", "1e3", "1e3", false, true},
		{"OPTIONS", "99999999999", "99999999999", false, true},
	} {
		h := http.Header{}
		if c.sent != "" {
			h.Set("Max-Forwards", c.sent)
		}
		last, err := spendForward(c.method, h)
		if last != c.last || (err != nil) != c.bad || err != nil && !errors.Is(err, errHeader) || h.Get("Max-Forwards") != c.passed {
			t.Errorf("%s with %q: last %v, %v, passes %q", c.method, c.sent, last, err, h.Get("Max-Forwards"))
		}
	}
}

// H10: a trailer arrives neither as a header nor as a trailer.
func TestH10_TrailersDoNotArrive(t *testing.T) {
	t.Parallel()
	arrived := make(chan http.Header, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = bufio.NewReader(r.Body).WriteTo(&strings.Builder{})
		all := r.Header.Clone()
		maps.Copy(all, r.Trailer)
		arrived <- all
	}))
	t.Cleanup(upstream.Close)
	behind, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Note, X-Forwarded-For\r\n\r\n" +
		"1\r\na\r\n0\r\nX-Note: n\r\nAuthorization: Bearer evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if err := scrub(r.Header); err != nil {
		t.Fatal(err)
	}
	scrubTrailers(r)
	w := httptest.NewRecorder()
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(behind) }}).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("the proxy answered %d", w.Code)
	}
	h := <-arrived
	for _, name := range []string{"Authorization", "X-Forwarded-For", "X-Note", "Trailer"} {
		if v, ok := h[name]; ok {
			t.Errorf("%s arrived: %q", name, v)
		}
	}
}

// Whatever is sent, no name that folds to a managed one survives, and a second scrub finds nothing more.
func FuzzScrub(f *testing.F) {
	for _, s := range []string{"X_Forwarded-For", "x-user", "CONNECTION", "remote_user", "TE", "Upgrade", "a-b", "X.Real.Ip", "Coatcheck-", ""} {
		f.Add(s, "upgrade, x-user", "websocket")
	}
	f.Fuzz(func(t *testing.T, name, connection, value string) {
		h := http.Header{name: {value}, "Connection": {connection}, "X-User": {value}, "Upgrade": {value}}
		if scrub(h) != nil {
			return
		}
		for name := range h {
			folded := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
			for _, m := range managed {
				for _, bad := range m.names {
					hit := folded == bad || strings.HasSuffix(bad, "-") && strings.HasPrefix(folded, bad)
					if hit && folded != "Connection" && folded != "Upgrade" && folded != "Te" {
						t.Fatalf("%q survived", name)
					}
				}
			}
		}
		if up := h["Upgrade"]; up != nil && (len(up) != 1 || up[0] != "websocket" || !asksWebSocket(h)) {
			t.Fatalf("Upgrade: %q survived", up)
		}
		if te := h["Te"]; te != nil && (len(te) != 1 || te[0] != "trailers") {
			t.Fatalf("TE: %q survived", te)
		}
		again := h.Clone()
		if err := scrub(again); err != nil || cmp.Diff(h, again) != "" {
			t.Fatalf("not a fixed point: %v, then %v (%v)", h, again, err)
		}
	})
}

func BenchmarkScrub(b *testing.B) {
	h := headerOf(b, "Accept: */*", "Accept-Encoding: gzip", "Accept-Language: en", "Authorization: Bearer x", "Content-Type: application/json", "Cookie: a=b", "User-Agent: curl", "X-Request-Id: 1", "If-None-Match: x", "Origin: o")
	b.ReportAllocs()
	for b.Loop() {
		if err := scrub(h); err != nil {
			b.Fatal(err)
		}
	}
}
