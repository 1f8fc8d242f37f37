package routes

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// build makes a table of bare patterns, each route named after its pattern.
func build(patterns ...string) (*Table, error) {
	var rs []Route
	for i, p := range patterns {
		rs = append(rs, Route{Name: p, Match: p, Upstream: "u", Public: true, Source: fmt.Sprintf("routes.yaml:%d:3", i+1)})
	}
	return New(rs)
}

// plain is a pattern as the linear oracle sees it: text, cut at slashes.
type plain struct {
	text, method, host string
	segments           []string
}

func readPlain(text string) plain {
	p := plain{text: text}
	rest := text
	if m, after, ok := strings.Cut(text, " "); ok {
		p.method, rest = m, after
	}
	slash := strings.IndexByte(rest, '/')
	p.host = rest[:slash]
	p.segments = strings.Split(rest[slash+1:], "/")
	if last := len(p.segments) - 1; p.segments[last] == "" {
		p.segments[last] = "{...}"
	}
	return p
}

// rank says how specifically p matches: host, then path from the left, then method; the smallest governs. Empty: it does not match.
func (p plain) rank(method, host, path string) string {
	if p.host != "" && p.host != host || p.method != "" && p.method != method && (p.method != "GET" || method != "HEAD") {
		return ""
	}
	rank := "h"
	if p.host == "" {
		rank = "i"
	}
	segments := strings.Split(path[1:], "/")
	for i, want := range p.segments {
		switch {
		case strings.HasSuffix(want, "...}"):
			if i > len(segments) {
				return ""
			}
			if i == len(segments) {
				return rank + "!z" + p.methodRank(method) // the bare prefix: like the end, but after rules for that path
			}
			return rank + "c" + p.methodRank(method)
		case i >= len(segments):
			return ""
		case want == "{$}":
			if segments[i] != "" || i != len(segments)-1 {
				return ""
			}
			return rank + "a" + p.methodRank(method)
		case strings.HasPrefix(want, "{"):
			if segments[i] == "" {
				return ""
			}
			rank += "b"
		default:
			got, _ := url.PathUnescape(segments[i])
			if want, _ = url.PathUnescape(want); want != got {
				return ""
			}
			rank += "a"
		}
	}
	if len(p.segments) != len(segments) {
		return ""
	}
	return rank + "!a" + p.methodRank(method)
}

func (p plain) methodRank(method string) string {
	switch p.method {
	case method:
		return "1"
	case "":
		return "3"
	}
	return "2"
}

// linear asks every pattern.
func linear(patterns []string, method, host, path string) (string, Result) {
	type hit struct{ rank, text string }
	var hits []hit
	result := NotFound
	for _, text := range patterns {
		p := readPlain(text)
		if rank := p.rank(method, host, path); rank != "" {
			hits = append(hits, hit{rank, text})
		} else if p.rank(cmp.Or(p.method, method), host, path) != "" {
			result = MethodNotAllowed
		}
	}
	if len(hits) == 0 {
		return "", result
	}
	return slices.MinFunc(hits, func(a, b hit) int { return strings.Compare(a.rank, b.rank) }).text, Found
}

// random draws patterns and requests from so small an alphabet that they meet.
type random struct{ *rand.Rand }

func (r random) one(of ...string) string { return of[r.IntN(len(of))] }

func (r random) pattern() string {
	var path strings.Builder
	depth := r.IntN(4)
	for i := range depth {
		path.WriteString("/" + r.one("a", "b", "c:d", "%C3%A9", fmt.Sprintf("{x%d}", i)))
	}
	path.WriteString(r.one("", "/", "/{$}", "/{rest...}"))
	if path.Len() == 0 {
		path.WriteString("/")
	}
	return r.one("", "", "GET ", "HEAD ", "POST ") + r.one("", "", "", "h.example") + path.String()
}

func (r random) path() string {
	var path strings.Builder
	for range r.IntN(5) {
		path.WriteString("/" + r.one("a", "b", "c:d", "c%3Ad", "%C3%A9", "z"))
	}
	path.WriteString(r.one("", "/"))
	return cmp.Or(path.String(), "/")
}

// table draws patterns until some do not conflict.
func (r random) table() (*Table, []string) {
	var patterns []string
	table, _ := build()
	for range 1 + r.IntN(12) {
		if more, err := build(append(patterns, r.pattern())...); err == nil {
			table = more
			patterns = patterns[:0:0]
			for _, route := range more.All() {
				patterns = append(patterns, route.Match)
			}
		}
	}
	return table, patterns
}

func (r random) compare(t *testing.T) {
	t.Helper()
	table, patterns := r.table()
	for range 20 {
		method, host, path := r.one("GET", "HEAD", "POST", "PUT"), r.one("", "h.example", "other"), r.path()
		route, result := table.Match(method, host, path)
		got := ""
		if route != nil {
			got = route.Match
		}
		if want, wantResult := linear(patterns, method, host, path); got != want || result != wantResult {
			t.Fatalf("%s %s%s: %q (%d), linear search says %q (%d); table %q", method, host, path, got, result, want, wantResult, patterns)
		}
	}
}

func TestMatchAgreesWithLinearSearch(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random{rand.New(rand.NewPCG(seed, 1))}.compare(t)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { random{rand.New(rand.NewPCG(a, b))}.compare(t) })
}

type named string

func (named) ServeHTTP(http.ResponseWriter, *http.Request) {}

// mux registers patterns with http.ServeMux, or returns what it panics with.
func mux(patterns ...string) (m *http.ServeMux, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	m = http.NewServeMux()
	for _, p := range patterns {
		m.Handle(p, named(p))
	}
	return m, nil
}

// bare reports whether the pattern also matches its bare prefix, which ServeMux would not.
func bare(pattern string) bool {
	return strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "...}")
}

// http.ServeMux is the oracle for what conflicts. Where only we see a conflict it is over a bare prefix, and in any case the
// example in the message is a request that both patterns match.
func TestConflictsAgreeWithServeMux(t *testing.T) {
	t.Parallel()
	r := random{rand.New(rand.NewPCG(7, 7))}
	conflicts := 0
	for range 6000 {
		a, b := r.pattern(), r.pattern()
		_, ours := build(a, b)
		_, theirs := mux(a, b)
		if a == b && ours != nil { // ours also complains about the name
			continue
		}
		if theirs != nil && ours == nil || ours != nil && theirs == nil && !bare(a) && !bare(b) {
			t.Fatalf("%q and %q: we say %v, ServeMux says %v", a, b, ours, theirs)
		}
		var conflict *ConflictError
		if ours == nil {
			continue
		}
		if !errors.As(ours, &conflict) {
			t.Fatalf("%q and %q: %v", a, b, ours)
		}
		conflicts++
		method, target, _ := strings.Cut(conflict.Example, " ")
		slash := strings.IndexByte(target, '/')
		for _, p := range []string{a, b} {
			if readPlain(p).rank(method, target[:slash], target[slash:]) == "" {
				t.Fatalf("%q and %q: %q does not match the example of %v", a, b, p, ours)
			}
		}
	}
	if conflicts < 200 {
		t.Errorf("only %d conflicts drawn", conflicts)
	}
}

// http.ServeMux is the oracle for precedence, but for its redirects and our bare prefixes.
func TestMatchAgreesWithServeMux(t *testing.T) {
	t.Parallel()
	compared := 0
	for seed := range uint64(400) {
		r := random{rand.New(rand.NewPCG(seed, 3))}
		table, patterns := r.table()
		m, err := mux(patterns...)
		if err != nil {
			t.Fatalf("%q: we load it, ServeMux says %v", patterns, err)
		}
		for range 20 {
			method, host, path := r.one("GET", "HEAD", "POST", "PUT"), r.one("h.example", "other"), r.path()
			request, err := http.NewRequest(method, "http://"+host+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			handler, _ := m.Handler(request)
			want, ours := handler.(named)
			route, _ := table.Match(method, host, path)
			if !ours || route != nil && bare(route.Match) && strings.Count(route.Match, "/") > strings.Count(path, "/") {
				continue
			}
			compared++
			if route == nil || route.Match != string(want) {
				t.Fatalf("%s %s%s: %v, ServeMux says %q; table %q", method, host, path, route, want, patterns)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d requests compared", compared)
	}
}
