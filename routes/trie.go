package routes

import (
	"hash/fnv"
	"slices"
	"strings"
)

// node is a place in the trie of one host's paths.
type node struct {
	literals map[string]*node // by decoded segment
	keys     []string         // of literals, in order of arrival, so that messages do not depend on chance
	wild     *node
	ends     []rule // patterns that end here
	slash    []rule // patterns that end here with {$}
	rest     []rule // patterns whose {rest...} begins here; they match from the slash on
	// next summarizes how paths go on from here: a bit for each way to end, one of the others for each literal, all for a
	// wildcard. Two nodes whose summaries share no bit share no path.
	next uint64
}

// rule is a pattern at its place.
type rule struct {
	pattern *pattern
	route   *Route
	order   int // in the table
}

func (t *Table) add(p *pattern, r *Route) {
	leaf := rule{p, r, len(t.routes)}
	n := t.hosts[p.host]
	if n == nil {
		n = &node{}
		t.hosts[p.host] = n
	}
	for _, s := range p.segments {
		n.next |= s.mark()
		switch s.kind {
		case literal:
			n = n.literal(s.text)
		case wild:
			if n.wild == nil {
				n.wild = &node{}
			}
			n = n.wild
		case rest:
			n.rest = append(n.rest, leaf)
			return
		case end:
			n.slash = append(n.slash, leaf)
			return
		}
	}
	n.next |= segment{kind: none}.mark()
	n.ends = append(n.ends, leaf)
}

// mark is what a segment adds to the summary of the node before it.
func (s segment) mark() uint64 {
	switch s.kind {
	case none:
		return 1 << 63
	case end:
		return 1 << 62
	case literal:
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.text))
		return 1 << (h.Sum64() % 62)
	}
	return ^uint64(0)
}

// literal is the child for a segment, made if there is none.
func (n *node) literal(text string) *node {
	child := n.literals[text]
	if child == nil {
		child = &node{}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		n.literals[text] = child
		n.keys = append(n.keys, text)
	}
	return child
}

// walk looks for one request's rule, or collects what methods there are for it.
type walk struct {
	method  string
	route   *Route
	missed  bool // a rule matched but for its method
	collect bool
	methods []string
}

// down tries the more specific before the more general, and comes back when the method or the remaining path does not fit. That
// the first to match is the right one is what conflicts() has made sure of: of two patterns that match a request one is
// more specific, and it is met first, for no rule has both the more specific path and the more general method.
func (w *walk) down(n *node, path string) bool {
	switch path {
	case "":
		// A bare prefix is matched by the {rest...} below it, after the rules for this very path.
		return w.take(n.ends) || w.take(n.rest)
	case "/":
		return w.take(n.slash) || w.take(n.rest)
	}
	segment, after := path[1:], ""
	if i := strings.IndexByte(segment, '/'); i >= 0 {
		segment, after = segment[:i], segment[i:]
	}
	if child := n.find(segment); child != nil && w.down(child, after) {
		return true
	}
	if n.wild != nil && segment != "" && w.down(n.wild, after) {
		return true
	}
	return w.take(n.rest)
}

// find compares decoded. No literal is longer than maxLiteral, so what is longer needs no decoding.
func (n *node) find(segment string) *node {
	if strings.IndexByte(segment, '%') < 0 {
		return n.literals[segment]
	}
	var plain [maxLiteral]byte
	size := 0
	for i := 0; i < len(segment); i++ {
		if size == len(plain) {
			return nil
		}
		plain[size] = segment[i]
		if segment[i] == '%' && i+2 < len(segment) {
			plain[size] = unhex(segment[i+1])<<4 | unhex(segment[i+2])
			i += 2
		}
		size++
	}
	return n.literals[string(plain[:size])]
}

// unhex is the value of a hexadecimal digit; a canonical path has upper-case ones only.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// take picks the rule whose method is the most specific that fits: its own, GET for HEAD, any.
func (w *walk) take(rules []rule) bool {
	var get, whatever *Route
	for i := range rules {
		switch m := rules[i].pattern.method; {
		case w.collect:
			w.methods = append(w.methods, allowed(m)...)
		case m == w.method:
			w.route = rules[i].route
			return true
		case m == "GET" && w.method == "HEAD":
			get = rules[i].route
		case m == "":
			whatever = rules[i].route
		default:
			w.missed = true
		}
	}
	if w.route = get; get == nil {
		w.route = whatever
	}
	return w.route != nil
}

func allowed(method string) []string {
	switch method {
	case "":
		return nil // all of them; then there is no 405 to list methods for
	case "GET":
		return []string{"GET", "HEAD"}
	}
	return []string{method}
}

// below calls f for every rule under n whose path is longer than n's.
func (n *node) below(f func(rule)) {
	for _, r := range n.slash {
		f(r)
	}
	for child := range n.children() {
		for _, r := range slices.Concat(child.ends, child.rest) {
			f(r)
		}
		child.below(f)
	}
}

func (n *node) children() func(yield func(*node) bool) {
	return func(yield func(*node) bool) {
		for _, key := range n.keys {
			if !yield(n.literals[key]) {
				return
			}
		}
		if n.wild != nil {
			yield(n.wild)
		}
	}
}
