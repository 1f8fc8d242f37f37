package gateway

import (
	"net/http"
	"strings"
)

// presented is what a client put into Authorization, off the request and out of sight. It is judged only after
// the route is known, for 404 and 405 come first, and it is forgotten as soon as it has been swapped.
type presented struct {
	_         [0]func() // not comparable
	raw       string    // the bearer token; empty: none was sent
	malformed bool
}

// String keeps the token out of whatever prints a presented.
func (presented) String() string { return "[presented]" }

// takeAuthorization reads the one Authorization field and deletes it, so that neither a handler nor an upstream
// can see it. It refuses nothing itself.
func takeAuthorization(h http.Header) presented {
	lines := h["Authorization"]
	delete(h, "Authorization")
	switch len(lines) {
	case 0:
		return presented{}
	case 1:
		return parseAuthorization(lines[0])
	default: // RFC 9110 §11.6.2 has one; with two, each hop may believe another
		return presented{malformed: true}
	}
}

// parseAuthorization reads `Bearer 1*SP token68` (RFC 6750 §2.1, RFC 9110 §11.4), anchored at both ends; the scheme
// in any case. Any other scheme counts as no credentials (RFC 6750 §3.1: "attempted using an unsupported
// authentication method"), unless it carries a bearer token behind a comma.
func parseAuthorization(value string) presented {
	scheme, rest, _ := strings.Cut(value, " ")
	if !isToken(scheme) {
		return presented{malformed: true}
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return presented{malformed: joinsBearer(rest)}
	}
	raw := strings.TrimLeft(rest, " ")
	if !isToken68(raw) {
		return presented{malformed: true}
	}
	return presented{raw: raw}
}

// joinsBearer finds a second credential in one line: `Basic eDp5, Bearer abc`.
func joinsBearer(s string) bool {
	for element := range strings.SplitSeq(s, ",") {
		scheme, _, _ := strings.Cut(strings.Trim(element, " \t"), " ")
		if strings.EqualFold(scheme, "Bearer") && len(element) < len(s) {
			return true
		}
	}
	return false
}

// isToken68 reports whether s is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
