package routes

import (
	"fmt"
	"strings"
)

// RouteError is a fault of one rule.
type RouteError struct {
	Route  string // name; may be empty
	Source string // file:line:column; may be empty
	Fault  string // what is wrong and how to mend it
}

func (e *RouteError) Error() string {
	name := "route without a name"
	if e.Route != "" {
		name = "route " + e.Route
	}
	return prefix(e.Source) + name + ": " + e.Fault
}

// ConflictError is a pair of rules that leaves open which of them governs a request.
type ConflictError struct {
	Routes  [2]string // names, in the order of the table
	Matches [2]string
	Sources [2]string
	Example string // a request that both match, such as "GET api.example.com/orders/x"
	Same    bool   // they match exactly the same requests
}

func (e *ConflictError) Error() string {
	why := "neither is more specific: make one pattern narrower, or give the shared requests to one of them"
	if e.Same {
		why = "so do all their requests: delete one"
	}
	return fmt.Sprintf("%sroute %s (%s) conflicts with route %s (%s)%s: both match %s, and %s",
		prefix(e.Sources[1]), e.Routes[1], e.Matches[1], e.Routes[0], e.Matches[0], at(e.Sources[0]), e.Example, why)
}

func prefix(source string) string {
	if source == "" {
		return ""
	}
	return source + ": "
}

func at(source string) string {
	if source == "" {
		return ""
	}
	return " at " + source
}

func fault(r *Route, format string, args ...any) *RouteError {
	return &RouteError{Route: r.Name, Source: r.Source, Fault: fmt.Sprintf(format, args...)}
}

func newConflict(a, b rule) *ConflictError {
	if a.order > b.order {
		a, b = b, a
	}
	pMore, qMore := a.pattern.general(b.pattern)
	return &ConflictError{
		Routes:  [2]string{a.route.Name, b.route.Name},
		Matches: [2]string{a.route.Match, b.route.Match},
		Sources: [2]string{a.route.Source, b.route.Source},
		Example: example(a.pattern, b.pattern),
		Same:    !pMore && !qMore,
	}
}

// example is a request that both patterns match; there is one.
func example(p, q *pattern) string {
	method := p.method
	if method == "" || q.method == "HEAD" {
		method = q.method
	}
	if method == "" {
		method = "GET"
	}
	var path strings.Builder
	for i := 0; ; i++ {
		a, b := p.at(i), q.at(i)
		if a.kind == rest || a.kind == wild && b.kind == literal {
			a = b // the other says more
		}
		switch a.kind {
		case literal, wild:
			path.WriteString("/" + escaped(a.text))
		case rest, end:
			path.WriteString("/")
			return method + " " + p.host + path.String()
		case none:
			return method + " " + p.host + path.String()
		}
	}
}

// escaped writes a literal as a client sends it.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("%\"<>[]^`{|}?#;", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
