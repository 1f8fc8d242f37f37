package routes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustBuild(t testing.TB, patterns ...string) *Table {
	t.Helper()
	table, err := build(patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMatchPrecedence(t *testing.T) {
	t.Parallel()
	table := mustBuild(t,
		"GET /orders/{rest...}", "POST /orders", "GET /orders/{id}/items", "DELETE /orders/{id}", "GET /orders/new",
		"GET api.example.com/orders/{rest...}", "/docs/", "/{page}", "GET /only/{$}", "HEAD /orders/new", "GET /v1/orders:cancel", "GET /café/{x}", "GET /a%20b", "/{$}",
	)
	for _, c := range []struct {
		method, host, path, want string
		result                   Result
	}{
		{"GET", "", "/orders/7", "GET /orders/{rest...}", Found},
		{"GET", "", "/orders", "GET /orders/{rest...}", Found}, // the bare prefix, before /{page}
		{"GET", "", "/orders/", "GET /orders/{rest...}", Found},
		{"POST", "", "/orders", "POST /orders", Found},
		{"POST", "", "/orders/", "", MethodNotAllowed},
		{"HEAD", "", "/orders/7", "GET /orders/{rest...}", Found},
		{"HEAD", "", "/orders/new", "HEAD /orders/new", Found},
		{"get", "", "/orders/7", "", MethodNotAllowed},
		{"DELETE", "", "/orders/7", "DELETE /orders/{id}", Found},
		{"DELETE", "", "/orders/7/items", "", MethodNotAllowed},
		{"GET", "", "/orders/7/items", "GET /orders/{id}/items", Found},
		{"GET", "", "/orders/7/items/3", "GET /orders/{rest...}", Found},
		{"GET", "", "/orders/new", "GET /orders/new", Found},
		{"GET", "api.example.com", "/orders/new", "GET api.example.com/orders/{rest...}", Found}, // the host beats the path
		{"DELETE", "api.example.com", "/orders/7", "DELETE /orders/{id}", Found},
		{"GET", "api.example.com.evil", "/orders/new", "GET /orders/new", Found},
		{"PURGE", "", "/docs", "/docs/", Found},
		{"PUT", "", "/docs/a/b", "/docs/", Found},
		{"GET", "", "/docsx", "/{page}", Found},
		{"GET", "", "/only/", "GET /only/{$}", Found},
		{"GET", "", "/only", "/{page}", Found},
		{"GET", "", "/only/x", "", NotFound},
		{"GET", "", "/Orders/7", "", NotFound},
		{"GET", "", "/", "/{$}", Found},
		{"GET", "", "/v1/orders:cancel", "GET /v1/orders:cancel", Found},
		{"GET", "", "/v1/orders%3Acancel", "GET /v1/orders:cancel", Found}, // upstreams read it so
		{"GET", "", "/caf%C3%A9/1", "GET /café/{x}", Found},
		{"GET", "", "/a%20b", "GET /a%20b", Found},
		{"GET", "", "/a%2520b", "/{page}", Found},
		{"GET", "", "/" + strings.Repeat("%20", 300), "/{page}", Found},
		{"GET", "", "orders", "", NotFound},
		{"GET", "", "", "", NotFound},
		{"GET", "", "//", "", NotFound},
	} {
		route, result := table.Match(c.method, c.host, c.path)
		got := ""
		if route != nil {
			got = route.Match
		}
		if got != c.want || result != c.result {
			t.Errorf("%s %s%s: %q (%d), want %q (%d)", c.method, c.host, c.path, got, result, c.want, c.result)
		}
	}
	if r, result := mustBuild(t, "/{a}/b").Match("GET", "", "//b"); r != nil {
		t.Errorf("an empty segment: %v (%d), want NotFound", r, result)
	}
	if r, result := mustBuild(t, "GET h/a").Match("GET", "g", "/a"); r != nil || result != NotFound {
		t.Errorf("another host: %v (%d), want NotFound", r, result)
	}
}

// A rule for the very path goes before a bare prefix, whatever their methods.
func TestBarePrefixYieldsToItsOwnPath(t *testing.T) {
	t.Parallel()
	table := mustBuild(t, "GET /orders/{rest...}", "/orders", "PUT /a/{rest...}", "GET /a")
	for request, want := range map[string]string{"GET /orders": "/orders", "GET /orders/": "GET /orders/{rest...}", "PUT /a": "PUT /a/{rest...}", "GET /a": "GET /a"} {
		method, path, _ := strings.Cut(request, " ")
		if r, _ := table.Match(method, "", path); r == nil || r.Match != want {
			t.Errorf("%s: %v, want %s", request, r, want)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	table := mustBuild(t, "GET /a/{rest...}", "POST /a", "PUT h/a", "DELETE /a/{id}", "/b", "POST /b")
	for request, want := range map[string][]string{
		"/a": {"GET", "HEAD", "POST"}, "h/a": {"GET", "HEAD", "POST", "PUT"}, "/a/1": {"DELETE", "GET", "HEAD"}, "/a/1/2": {"GET", "HEAD"}, "/c": nil, "/b": {"POST"},
	} {
		host, path, _ := strings.Cut(request, "/")
		if diff := cmp.Diff(want, table.Allow(host, "/"+path)); diff != "" {
			t.Errorf("Allow(%s) (-want +got):\n%s", request, diff)
		}
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	ok := Route{Name: "ok", Match: "GET /ok", Upstream: "u", Audience: "a", Source: "f.yaml:1:1"}
	for want, change := range map[string]func(*Route){
		"it is empty":                      func(r *Route) { r.Match = " " },
		"begin it with a slash":            func(r *Route) { r.Match = "GET orders" },
		"write GET":                        func(r *Route) { r.Match = "get /x" },
		`unknown method "GTE"`:             func(r *Route) { r.Match = "GTE /x" },
		"TRACE is never forwarded":         func(r *Route) { r.Match = "TRACE /x" },
		"hosts are exact":                  func(r *Route) { r.Match = "GET *.example.com/x" },
		"without their port":               func(r *Route) { r.Match = "example.com:80/x" },
		`host "a..b" is not a name`:        func(r *Route) { r.Match = "a..b/x" },
		"IPv6 address":                     func(r *Route) { r.Match = "[::0001]/x" },
		"empty segment":                    func(r *Route) { r.Match = "/a//b" },
		"dot segment":                      func(r *Route) { r.Match = "/a/%2e%2e/b" },
		"write % as %25":                   func(r *Route) { r.Match = "/100%/x" },
		"it encodes a slash":               func(r *Route) { r.Match = "/a%2fb" },
		"what is not UTF-8":                func(r *Route) { r.Match = "/%ff" },
		"no blanks":                        func(r *Route) { r.Match = "GET /a b" },
		"queries":                          func(r *Route) { r.Match = "GET /a?b=1" },
		"or parameters":                    func(r *Route) { r.Match = "GET /a;b=1" },
		"wildcards are written {name}":     func(r *Route) { r.Match = "/users/:id" },
		"or {rest...}":                     func(r *Route) { r.Match = "/users/*" },
		"a wildcard is a whole segment":    func(r *Route) { r.Match = "/v{n}/x" },
		`"{a}{b}"`:                         func(r *Route) { r.Match = "/{a}{b}" },
		"{rest...} stands before the end":  func(r *Route) { r.Match = "/{rest...}/x" },
		"{$} stands before the end":        func(r *Route) { r.Match = "/{$}/x" },
		`wildcard name ""`:                 func(r *Route) { r.Match = "/{}" },
		`wildcard name "1a"`:               func(r *Route) { r.Match = "/{1a...}" },
		"{id} stands twice":                func(r *Route) { r.Match = "/{id}/{id}" },
		"longer than 255 bytes":            func(r *Route) { r.Match = "/" + strings.Repeat("a", 256) },
		"has no name":                      func(r *Route) { r.Name = "" },
		"has no upstream":                  func(r *Route) { r.Upstream = "" },
		"has no audience":                  func(r *Route) { r.Audience = "" },
		"is public and has the audience a": func(r *Route) { r.Public = true },
		"drop one; where no reference is":  func(r *Route) { r.Public, r.Audience, r.Strict = true, "", true },
		"scopes without an audience":       func(r *Route) { r.Public, r.Audience, r.Scopes = true, "", []string{"s"} },
		`scope "a b"`:                      func(r *Route) { r.Scopes = []string{"a b"} },
		`strip_prefix "/o"`:                func(r *Route) { r.StripPrefix = "/o" },
		`strip_prefix "ok"`:                func(r *Route) { r.StripPrefix = "ok" },
		`strip_prefix "/ok/x"`:             func(r *Route) { r.StripPrefix = "/ok/x" },
		`strip_prefix "/a"`:                func(r *Route) { r.Match, r.StripPrefix = "/{a}/b", "/a" },
		`strip_prefix "/{a}"`:              func(r *Route) { r.Match, r.StripPrefix = "/{a}/b", "/{a}" },
		"a WebSocket begins with GET":      func(r *Route) { r.Match, r.WebSocket = "POST /ok", true },
	} {
		r := ok
		change(&r)
		_, err := New([]Route{r})
		var fault *RouteError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f.yaml:1:1: route") || fault.Route != r.Name {
			t.Errorf("%+v: %v; want a message with %q", r, err, want)
		}
	}
	for _, r := range []Route{
		{Match: "GET /v1/invoices/{rest...}", StripPrefix: "/v1"},
		{Match: "/v1", StripPrefix: "/v1"},
		{Match: "/v1/a:b/{x}", StripPrefix: "/v1/a%3Ab/"},
		{Match: "GET \t Api.Example.com/x"},
		{Match: "[::1]/x", WebSocket: true},
		{Match: "/*a/:/{é}"},
		{Match: "/", Scopes: []string{"orders:read"}},
	} {
		r.Name, r.Upstream, r.Audience = "r", "u", "a"
		if _, err := New([]Route{r}); err != nil {
			t.Errorf("%+v: %v; want it to load", r, err)
		}
	}
}

// All faults come in one run, those of rules and those between rules.
func TestNewJoinsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := New([]Route{
		{Name: "a", Match: "GET /a/{x}", Upstream: "u", Audience: "s", Source: "f:1:1"},
		{Name: "a", Match: "GET /{y}/b", Upstream: "u", Audience: "s", Source: "f:2:1"},
		{Name: "c", Match: "get /", Source: "f:3:1"},
	})
	want := []string{
		"f:2:1: route a: the name is taken at f:1:1: give each route its own",
		`f:3:1: route c: match "get /": methods are case-sensitive: write GET`,
		"f:3:1: route c: it has no upstream: name one",
		"f:3:1: route c: it has no audience: name the service that its JWT is for, or say public: true",
		"f:2:1: route a (GET /{y}/b) conflicts with route a (GET /a/{x}) at f:1:1: both match GET /a/b, and neither is more specific: make one pattern narrower, or give the shared requests to one of them",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConflictNamesBothAndAnExample(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b, example string
		same          bool
	}{
		{"GET /orders/{id}", "GET /orders/{order}", "GET /orders/id", true},
		{"/a/", "/a/{rest...}", "GET /a/", true},
		{"/caf%C3%A9", "/café", "GET /caf%C3%A9", true},
		{"GET h.example/{a}/b", "h.example/a/{b}", "GET h.example/a/b", false},
		{"GET /{rest...}", "/orders", "GET /orders", false},
		{"GET /a", "HEAD /{x}", "HEAD /a", false},
		{"/orders/{rest...}", "GET /{x}", "GET /orders", false}, // over the bare prefix
		{"GET /a/{x}/{rest...}", "GET /{y}/b", "GET /a/b", false},
		{"/{x}/{$}", "/a/{rest...}", "GET /a/", false},
		{"POST /{x}/b/{rest...}", "POST /a/{y}/c/d", "POST /a/b/c/d", false},
	} {
		for range 2 {
			_, err := build(c.a, c.b)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || conflict.Example != c.example || conflict.Same != c.same || conflict.Matches != [2]string{c.a, c.b} || conflict.Sources[1] != "routes.yaml:2:3" {
				t.Errorf("%q and %q: %+v (%v), want example %q", c.a, c.b, conflict, err, c.example)
			}
			c.a, c.b = c.b, c.a
			if c.same { // the first wildcard's name is in the example
				break
			}
		}
	}
}

func TestConflictsAreBounded(t *testing.T) {
	t.Parallel()
	var patterns []string
	for i := range 3000 {
		patterns = append(patterns, fmt.Sprintf("/a%d/{x}", i), fmt.Sprintf("/{y}/b%d", i))
	}
	_, err := build(patterns...)
	if got := strings.Count(fmt.Sprint(err), "conflicts with"); got != maxConflicts {
		t.Errorf("%d conflicts reported, want %d", got, maxConflicts)
	}
}

func TestTableKeepsNothingOfItsInput(t *testing.T) {
	t.Parallel()
	rs := []Route{{Name: "a", Match: "/a", Upstream: "u", Audience: "s", Scopes: []string{"x"}}}
	table, err := New(rs)
	if err != nil {
		t.Fatal(err)
	}
	rs[0].Audience, rs[0].Scopes[0] = "other", "y"
	all := table.All()
	all[0] = nil
	if r, _ := table.Match("GET", "", "/a"); table.Len() != 1 || r.Audience != "s" || !slices.Equal(r.Scopes, []string{"x"}) {
		t.Errorf("%d routes, %+v; want the route as it was given", table.Len(), r)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table := large(t, 1000)
	for _, path := range []string{"/v1/service-500/orders/7", "/v1/service-500/%C3%A9", "/none", "/" + strings.Repeat("%20", 300)} {
		if n := testing.AllocsPerRun(100, func() { table.Match("GET", "api.example.com", path) }); n != 0 {
			t.Errorf("%.40s: %v allocations, want 0", path, n)
		}
	}
}

// large is a table as a big installation has it: services with a handful of rules each.
func large(t testing.TB, n int) *Table {
	var patterns []string
	for i := 0; len(patterns) < n; i++ {
		base := fmt.Sprintf("/v1/service-%d", i)
		patterns = append(patterns, "GET "+base+"/orders/{id}", "POST "+base+"/orders", "GET "+base+"/orders/{id}/items/{item}", "GET "+base+"/admin/{rest...}", "GET "+base+"/{rest...}")
	}
	return mustBuild(t, patterns[:n]...)
}

func benchmarkMatch(b *testing.B, n int) {
	table := large(b, n)
	paths := make([]string, 64)
	for i := range paths {
		paths[i] = fmt.Sprintf("/v1/service-%d/orders/17/items/%d", i*(n/5)/len(paths), i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, result := table.Match("GET", "api.example.com", paths[i%len(paths)]); result != Found {
			b.Fatal(result)
		}
		i++
	}
}

func BenchmarkMatch10(b *testing.B)    { benchmarkMatch(b, 10) }
func BenchmarkMatch1000(b *testing.B)  { benchmarkMatch(b, 1000) }
func BenchmarkMatch10000(b *testing.B) { benchmarkMatch(b, 10000) }

func BenchmarkNew10000(b *testing.B) {
	for _, shape := range []string{"/v1/service-%d/x/{id}", "/{tenant}/service-%d/{rest...}", "/a%d/c/{x}|/{y}/d/b%d", "/a%d/{x}/c%d|/{y}/b%d/d%d", "GET h%d.example/{rest...}", "/{a}/%d/"} {
		b.Run(strings.ReplaceAll(shape, "/", "_"), func(b *testing.B) {
			var rs []Route
			for i := range 10000 {
				one := strings.Split(shape, "|")
				p := strings.ReplaceAll(one[i%len(one)], "%d", fmt.Sprint(i))
				rs = append(rs, Route{Name: p, Match: p, Upstream: "u", Audience: "a"})
			}
			for b.Loop() {
				if _, err := New(rs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
