package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// request reads one as net/http would, from its first lines.
func request(t testing.TB, line, host string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\r\nHost: " + host + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("read %q: %v", line, err)
	}
	return r
}

// H12: one canonical form.
func TestH12_OneCanonicalPath(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/":                          "/",
		"/orders/17":                 "/orders/17",
		"/orders/":                   "/orders/",
		"/%6frders/%41%2d%7e":        "/orders/A-~",
		"/caf%c3%a9":                 "/caf%C3%A9",
		"/a%20b":                     "/a%20b",
		"/bob%40example.com":         "/bob%40example.com",
		"/bob@example.com":           "/bob@example.com",
		"/v1/orders:cancel":          "/v1/orders:cancel",
		"/a/...":                     "/a/...",
		"/.well-known/x":             "/.well-known/x",
		"/a/..b":                     "/a/..b",
		"/100%25":                    "/100%25",
		"/100%25/x":                  "/100%25/x",
		"/a%3bb":                     "/a%3Bb",
		"/https%253A%252F%252Fx.com": "/https%253A%252F%252Fx.com",
		"/!$&'()*+,=:@":              "/!$&'()*+,=:@",
	} {
		got, err := canonicalPath(raw)
		if err != nil || got != want {
			t.Errorf("canonicalPath(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

// H12: what can be read in two ways is refused; every spelling of the trick, in the middle and at the end.
func TestH12_AmbiguousPathsAreRefused(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{
		"..", ".", "%2e%2e", "%2E.", ".%2e", "%2e", "..;", "..;x=1", ".;", ";", ";jsessionid=1", "..%3b", "%2e%2e%3Bx", ";/..",
		"a%2fb", "a%2Fb", "%2f", "..%2f", "a%5cb", "%5C", `a\b`, `..\`, "..%5c", "%00", "a%0d%0aX:y", "%7f", "%1F", "a%0A",
		"%", "%2", "%zz", "%u002e", "%%32%65", "%2%65", "a#b", "#", "é", "\xc0\xae", "a b", "a\x00", "a\x7f", "a\tb", `"`, "<", "{x}", "a|b", "^", "`", "[x]",
		"%c0%af", "%c0%ae%c0%ae", "%e0%80%af", "%ff", "%252e%252e", "%25252e.", "%2525252525252e", "..%252f..", "..%255c", "%252e%252e%253b",
		"", // an empty segment
	} {
		for _, path := range []string{"/" + piece + "/x", "/a/" + piece + "/x", "/a//" + piece, "/a/b/" + piece + "/"} {
			if got, err := canonicalPath(path); !errors.Is(err, errTarget) {
				t.Errorf("canonicalPath(%q) = %q, %v; want errTarget", path, got, err)
			}
		}
		if path := "/a/" + piece; piece != "" {
			if got, err := canonicalPath(path); !errors.Is(err, errTarget) {
				t.Errorf("canonicalPath(%q) = %q, %v; want errTarget", path, got, err)
			}
		}
	}
}

// H12: the query passes whole or not at all.
func TestH12_QueryIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"", "a=1&b=2", "a", "&&", "=", "a=%3B", "filter[x]=1", "q={}|^`\\", "a=1?b/c", "x=%0D%0A", "a=%ff", "access_tokens=1", "my_access_token=1", "a=access_token", "access-token=1", "accesstoken=1", "access_token_type=1", "access_token.type=1", "access__token=1", "access=token", strings.Repeat("access", 20) + "=1", "+=1", "%20"} {
		tg, err := freeze(request(t, "GET /x?"+q+" HTTP/1.1", "h"))
		if err != nil || tg.rawQuery != q {
			t.Errorf("query %q: %q, %v; want it unchanged", q, tg.rawQuery, err)
		}
	}
	for _, q := range []string{"b;c=1", "a=1;", "%zz", "a=%", "a=%2", "a=%u0041", "a=\x7f", "a=é", "a=1#f", "#", "a=1&b=;"} {
		if err := checkQuery(q); !errors.Is(err, errQuery) {
			t.Errorf("query %q: %v; want errQuery", q, err)
		}
	}
}

// B3: credentials in the query are refused, however the name is spelled and wherever it stands.
func TestB3_TokenInQueryIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"access_token", "ACCESS_TOKEN", "Access_Token", "access%5ftoken", "access%5Ftoken", "%61ccess_token", "%61%63%63%65%73%73%5f%74%6f%6b%65%6e", "access_token[]", "access_token%5B0%5D",
		"access.token", "access+token", "access%20token", "access%2etoken", "access[token", "access%5Btoken", "+access_token", "%20access_token", "++%09access.token", strings.Repeat("%20", 100) + "access_token",
		"access_token+", "access_token%20x", "access_token%00x", "access_token[" + strings.Repeat("x", 300) + "]", "acce%C5%BF%C5%BF_to%E2%84%AAen",
	} {
		for _, q := range []string{name + "=x", name, name + "=", "a=1&" + name + "=x", "&&" + name + "=x&b=2", name + "=x&" + name + "=y"} {
			if _, err := freeze(request(t, "GET /x?"+q+" HTTP/1.1", "h")); !errors.Is(err, errQueryToken) {
				t.Errorf("query %q: %v; want errQueryToken", q, err)
			}
		}
	}
}

// H5: nothing that echoes credentials or opens a tunnel.
func TestH5_TraceAndConnectAreRefused(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"TRACE", "TRACK", "CONNECT"} {
		tg, err := freeze(request(t, m+" /orders HTTP/1.1", "h"))
		if !errors.Is(err, errMethod) || tg.path != "/orders" {
			t.Errorf("%s: %+v, %v; want errMethod with a complete target", m, tg, err)
		}
	}
	for _, line := range []string{"CONNECT h:443 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET * HTTP/1.1"} {
		if tg, err := freeze(request(t, line, "h")); !errors.Is(err, errTarget) {
			t.Errorf("%s: %+v, %v; want errTarget", line, tg, err)
		}
	}
}

// H13: methods are exact.
func TestH13_MethodsAreCaseSensitive(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"get", "Get", "gET", "pOST", "trace", "connect", "G3T", "GET_", "X!"} {
		if _, err := freeze(request(t, m+" / HTTP/1.1", "h")); !errors.Is(err, errMethod) {
			t.Errorf("%s: %v; want errMethod", m, err)
		}
	}
	for _, m := range []string{"GET", "HEAD", "OPTIONS", "PATCH", "PROPFIND", "VERSION-CONTROL"} {
		if tg, err := freeze(request(t, m+" / HTTP/1.1", "h")); err != nil || tg.method != m {
			t.Errorf("%s: %+v, %v; want it to pass", m, tg, err)
		}
	}
}

// H7: the host is one name; an absolute-form authority wins.
func TestH7_Host(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM:8080": "api.example.com", "api.example.com.": "api.example.com", "h:": "h",
		"127.0.0.1:80": "127.0.0.1", "[::1]:8080": "[::1]", "[2001:DB8:0:0::1]": "[2001:db8::1]", "my_svc": "my_svc", "xn--caf-dma.example": "xn--caf-dma.example",
	} {
		tg, err := freeze(request(t, "GET / HTTP/1.1", host))
		if err != nil || tg.host != want {
			t.Errorf("Host %q: %q, %v; want %q", host, tg.host, err, want)
		}
	}
	for _, host := range []string{
		"", ".", "a..b", "..", ".a", "a/b", "a@b", "a,b", "a b", "a%2eb", "é.com", "h:x", "h:80:80", "h:123456", "h:-1", "[::1", "[::1]x", "[::1%25eth0]", "[127.0.0.1]", "::1", "a\\b", "a?b", "a#b",
		strings.Repeat("a", 254),
	} {
		if got, err := canonicalHost(host); !errors.Is(err, errHost) {
			t.Errorf("Host %q: %q, %v; want errHost", host, got, err)
		}
	}
	for line, want := range map[string]string{
		"GET http://Evil.example/x HTTP/1.1":      "evil.example/x",
		"GET HTTP://evil.example:81?a=1 HTTP/1.1": "evil.example/",
		"GET https://evil.example HTTP/1.1":       "evil.example/",
	} {
		tg, err := freeze(request(t, line, "api.example.com"))
		if err != nil || tg.host+tg.path != want {
			t.Errorf("%s: %q, %v; want %q", line, tg.host+tg.path, err, want)
		}
	}
	for _, line := range []string{"GET http://u:p@evil.example/x HTTP/1.1", "GET ftp://evil.example/x HTTP/1.1", "GET http:///x HTTP/1.1", "GET http://evil.example/../x HTTP/1.1", "GET x:y HTTP/1.1"} {
		if tg, err := freeze(request(t, line, "api.example.com")); err == nil {
			t.Errorf("%s: %+v; want an error", line, tg)
		}
	}
}

func TestH12_OtherProtocolsHaveNoAbsoluteForm(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "http://h/x", nil)
	r.ProtoMajor, r.RequestURI, r.Host = 2, "http://h/x", "h" // what a `:path` of that text becomes
	if tg, err := freeze(r); !errors.Is(err, errTarget) {
		t.Errorf("freeze = %+v, %v; want errTarget", tg, err)
	}
}

// H12: the bytes that were matched are the bytes that a real upstream reads, through a real proxy.
func TestH12_MatchedIsForwarded(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) }))
	t.Cleanup(upstream.Close)
	behind, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tg, err := freeze(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Matched", tg.path)
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(behind)
			tg.apply(p.Out.URL)
		}}).ServeHTTP(w, r)
	}))
	t.Cleanup(edge.Close)
	for uri, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/a/": "/a/", "/%61%2fb": "", "/a/../b": "", "//a": "", "/a%2e": "/a.",
		"/caf%c3%a9?x=%c3%a9&y": "/caf%C3%A9?x=%c3%a9&y", "/a?": "/a?", "/a??": "/a??", "/a?b;c=1": "", "/a?x=%zz": "",
		"/a?filter[x]=1&&q=a+b": "/a?filter[x]=1&&q=a+b", "/!$&'()*+,=:@%3a": "/!$&'()*+,=:@%3A", "/a#b": "", `/a\b`: "",
		"http://other/x%20y?z": "/x%20y?z", "/x?a=%00": "/x?a=%00", "/%25%20": "/%25%20",
		"/a?" + strings.Repeat("a&", 12000): "/a?" + strings.Repeat("a&", 12000), // more parameters than net/url parses
	} {
		got, status := ask(t, edge.Listener.Addr().String(), uri)
		if want == "" && status != http.StatusBadRequest || want != "" && got != want {
			t.Errorf("%s: upstream read %q (%d), want %q", uri, got, status, want)
		}
	}
}

// ask sends a request line as it is: http.Client would tidy it.
func ask(t *testing.T, addr, uri string) (string, int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", uri)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	defer answer.Body.Close()
	var body strings.Builder
	if _, err := bufio.NewReader(answer.Body).WriteTo(&body); err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	return body.String(), answer.StatusCode
}

// H12: nothing of the URL that apply writes to is left, whatever it held.
func TestH12_ApplyOverwrites(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"/a%20b/c", "/a?x=1", "/a?", "/a", "/?x"} {
		tg, err := freeze(request(t, "GET "+uri+" HTTP/1.1", "h"))
		if err != nil {
			t.Fatal(err)
		}
		u := &url.URL{Path: "/old", RawPath: "/%6fld", RawQuery: "old=1", ForceQuery: !tg.bare, Opaque: "//old", Fragment: "old"}
		if tg.bare {
			u.RawQuery = ""
		}
		if tg.apply(u); u.RequestURI() != uri || u.Fragment != "" {
			t.Errorf("apply of %q gives %q (%+v)", uri, u.RequestURI(), u)
		}
	}
}

func TestTargetHolds(t *testing.T) {
	t.Parallel()
	for what, meddle := range map[string]func(*http.Request){
		"method":      func(r *http.Request) { r.Method = "POST" },
		"host":        func(r *http.Request) { r.Host = "other" },
		"path":        func(r *http.Request) { r.URL.Path = "/other" },
		"raw path":    func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2Fb" },
		"query":       func(r *http.Request) { r.URL.RawQuery = "" },
		"opaque":      func(r *http.Request) { r.URL.Opaque = "x" },
		"whole URL":   func(r *http.Request) { r.URL = &url.URL{Path: "/"} },
		"bad host":    func(r *http.Request) { r.Host = "" },
		"a new slash": func(r *http.Request) { r.URL.Path += "/" },
	} {
		r := request(t, "GET /a%20b?c=1 HTTP/1.1", "H:80")
		tg, err := freeze(r)
		if err != nil {
			t.Fatal(err)
		}
		tg.apply(r.URL)
		if !tg.holds(r) {
			t.Fatalf("%+v does not hold for its own request", tg)
		}
		if meddle(r); tg.holds(r) {
			t.Errorf("%s was changed and the target still holds", what)
		}
	}
}

func TestTargetWithout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, prefix, want string }{
		{"/v1/invoices/7", "/v1", "/invoices/7"},
		{"/v1/invoices", "/v1/", "/invoices"},
		{"/v1", "/v1", "/"},
		{"/v1/", "/v1", "/"},
		{"/a%3Ab/c/d", "/a:b/c", "/d"},
		{"/x", "/", "/x"},
		{"/x", "", "/x"},
		{"/", "/", "/"},
	} {
		if got := (target{path: c.path}).without(c.prefix).path; got != c.want {
			t.Errorf("%q without %q = %q, want %q", c.path, c.prefix, got, c.want)
		}
	}
}

func TestFreezeAllocatesNothing(t *testing.T) {
	for _, line := range []string{"GET /v1/orders/17?a=1&b=2 HTTP/1.1", "GET /caf%C3%A9/a%20b?access=x HTTP/1.1"} {
		r := request(t, line, "api.example.com:8080")
		if n := testing.AllocsPerRun(100, func() { _, _ = freeze(r) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", line, n)
		}
	}
}

// Whatever passes is a fixed point, has none of the tricks in it, and is what is sent.
func FuzzFreeze(f *testing.F) {
	for _, s := range []string{"/", "/a%2e/b", "/%2e%2e", "/a//b", "/..;/x", "/%25252e", "/a?b;c", "/?access%5ftoken=1", "http://h/x", "*", "/\xc0\xae", "/%c3%a9?x=[1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", RequestURI: uri, Host: "h", URL: u, ProtoMajor: 1}
		tg, err := freeze(r)
		if err != nil {
			return
		}
		tg.apply(r.URL)
		sent := r.URL.RequestURI()
		if want := tg.path + uri[strings.Index(uri+"?", "?"):]; sent != want {
			t.Fatalf("%q: matched %q, sent %q", uri, want, sent)
		}
		again, err := freeze(&http.Request{Method: "GET", RequestURI: sent, Host: tg.host, URL: r.URL, ProtoMajor: 1})
		if err != nil || again != tg {
			t.Fatalf("%q froze to %+v and then to %+v, %v", uri, tg, again, err)
		}
		plain, err := url.PathUnescape(tg.path)
		if err != nil {
			t.Fatalf("%q froze to %q: %v", uri, tg.path, err)
		}
		for segment := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSuffix(plain, "/"), "/"), "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." || segment == "" && plain != "/" {
				t.Fatalf("%q froze to %q with segment %q", uri, tg.path, segment)
			}
		}
		if lower := strings.ToLower(tg.path); strings.ContainsAny(lower, "\\;#\x00") || strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") {
			t.Fatalf("%q froze to %q", uri, tg.path)
		}
	})
}

func BenchmarkFreeze(b *testing.B) {
	r := request(b, "GET /v1/orders/17?a=1&b=2 HTTP/1.1", "api.example.com:8080")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := freeze(r); err != nil {
			b.Fatal(err)
		}
	}
}
