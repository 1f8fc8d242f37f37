// Package routes is the route table: which rule governs a request. A table is built whole, never changes, and is
// matched without allocating.
//
// A rule's pattern is "[METHOD ][HOST]/path", with the syntax and the precedence of http.ServeMux: {x} stands for one segment,
// {rest...} for all that follow, {$} for the end after a slash, and a path that ends in a slash for everything below it. A pattern with a
// host wins over one without; else the more specific one wins, and the order of rules means nothing. Two rules that both match
// some request, neither being more specific, do not load: New names both and such a request.
//
// Where the edge needs something else than ServeMux does:
//
//   - {rest...}, and a final slash, also match the bare prefix: /orders/{rest...} governs /orders. The bare path takes part in
//     precedence as the pattern /orders would, so that it wins over /{x}; a rule written for that very path wins over it.
//   - Nothing redirects. What is not canonical never arrives here, the edge refuses it.
//   - Methods are exact and known: "get" and "GTE" do not load. HEAD is governed by GET's rule unless it has its own.
//   - Hosts are exact: lower-case, without port, no wildcards.
//   - Patterns that no canonical request can match do not load.
//
// Literal segments are compared decoded, the pattern's and the request's once each: /caf%C3%A9 and /café are one pattern, and
// /orders%3Acancel is governed by the rule for /orders:cancel, for that is how upstreams read it.
package routes

import (
	"errors"
	"slices"
)

// Route is one rule.
type Route struct {
	Name        string   // unique; in logs, metrics and messages
	Match       string   // "[METHOD ][HOST]/path", see the package comment
	Upstream    string   // by name
	Audience    string   // whose JWT goes to the upstream; empty exactly when Public
	Scopes      []string // of Audience; all needed
	Public      bool     // no credentials asked for, none forwarded
	StripPrefix string   // whole literal segments that Match begins with, taken off the path before it is forwarded
	WebSocket   bool     // lets Upgrade: websocket pass; no other upgrade ever does
	Strict      bool     // freshness: strict; the store is asked for each request, no cache answers
	Source      string   // file:line:column, for messages; may be empty
}

// Table is the immutable set of routes. Its routes are shared: read them only.
type Table struct {
	hosts  map[string]*node // "" holds the patterns without a host
	routes []*Route
}

// New builds the table, or says everything that is wrong with it: the error joins a *RouteError for each fault of one rule and a
// *ConflictError for each pair that conflicts. It keeps nothing of rs.
func New(rs []Route) (*Table, error) {
	t := &Table{hosts: map[string]*node{}}
	var faults []error
	names := map[string]*Route{}
	for i := range rs {
		r := rs[i]
		r.Scopes = slices.Clone(r.Scopes)
		t.routes = append(t.routes, &r)
		p, err := parse(r.Match)
		if err != nil {
			faults = append(faults, fault(&r, "match %q: %v", r.Match, err))
		} else {
			t.add(p, &r)
		}
		faults = append(faults, check(&r, p)...)
		if twin := names[r.Name]; twin != nil && r.Name != "" {
			faults = append(faults, fault(&r, "the name is taken%s: give each route its own", at(twin.Source)))
		}
		names[r.Name] = &r
	}
	faults = append(faults, t.conflicts()...)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return t, nil
}

// Result is the outcome of Match.
type Result int

const (
	NotFound         Result = iota // no rule for this host and path
	MethodNotAllowed               // rules for other methods only, see Table.Allow
	Found
)

// Match finds the rule for a canonical request: host lower-case without port, path canonical, escaped and starting with '/'. It
// allocates nothing and is safe for concurrent use.
func (t *Table) Match(method, host, path string) (*Route, Result) {
	w := walk{method: method}
	if t.walk(&w, host, path) {
		return w.route, Found
	}
	if w.missed {
		return nil, MethodNotAllowed
	}
	return nil, NotFound
}

// Allow lists the methods that have a rule of their own on host and path, sorted: for the Allow header of a 405.
func (t *Table) Allow(host, path string) []string {
	w := walk{collect: true}
	t.walk(&w, host, path)
	slices.Sort(w.methods)
	return slices.Compact(w.methods)
}

func (t *Table) walk(w *walk, host, path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	if n := t.hosts[host]; n != nil && w.down(n, path) {
		return true
	}
	n := t.hosts[""]
	return n != nil && w.down(n, path)
}

// Len is the number of routes.
func (t *Table) Len() int { return len(t.routes) }

// All lists the routes in the order in which New got them.
func (t *Table) All() []*Route { return slices.Clone(t.routes) }
