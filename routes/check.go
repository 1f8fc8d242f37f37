package routes

import "strings"

// check finds what is wrong with one rule besides its pattern, which is nil when it does not parse.
func check(r *Route, p *pattern) []error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fault(r, format, args...)) }
	if r.Name == "" {
		add("it has no name: logs and metrics need one")
	}
	if r.Upstream == "" {
		add("it has no upstream: name one")
	}
	switch {
	case r.Public && r.Audience != "":
		add("it is public and has the audience %s: drop one; a public route sends no JWT", r.Audience)
	case !r.Public && r.Audience == "":
		add("it has no audience: name the service that its JWT is for, or say public: true")
	}
	if r.Public && r.Strict {
		add("it is public and asks for freshness: strict: drop one; where no reference is asked for, none can be stale")
	}
	if r.Audience == "" && len(r.Scopes) > 0 {
		add("it asks for scopes without an audience: scopes belong to one")
	}
	for _, scope := range r.Scopes {
		if !isScope(scope) {
			add("scope %q: a scope is printable ASCII without blanks, quotes and backslashes", scope)
		}
	}
	if p == nil {
		return faults
	}
	if r.StripPrefix != "" && !p.hasPrefix(r.StripPrefix) {
		add("strip_prefix %q: it must begin with a slash and be whole literal segments that the path of %q begins with", r.StripPrefix, r.Match)
	}
	if r.WebSocket && p.method != "" && p.method != "GET" {
		add("websocket on a rule for %s: a WebSocket begins with GET", p.method)
	}
	return faults
}

// isScope follows the grammar of RFC 6749 §3.3.
func isScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' })
}

// hasPrefix reports whether prefix is made of literal segments that every path of p begins with.
func (p *pattern) hasPrefix(prefix string) bool {
	if !strings.HasPrefix(prefix, "/") {
		return false
	}
	segments, err := parsePath(strings.TrimSuffix(prefix, "/"))
	for i, s := range segments {
		if s.kind != literal || s != p.at(i) {
			return false
		}
	}
	return err == nil
}
