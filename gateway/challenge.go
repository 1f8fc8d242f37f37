package gateway

import (
	"strings"
)

// bearerError says which challenge goes with an answer (RFC 6750 §3.1).
type bearerError uint8

const (
	noChallenge       bearerError = iota
	bareChallenge                 // no credentials were sent: no error code, §3.1
	invalidRequest                // 400
	invalidToken                  // 401
	insufficientScope             // 403, with scope=
)

// challenge is the value of WWW-Authenticate: each attribute at most once, each a quoted-string without escapes.
// Nothing in it comes from the request.
func challenge(e bearerError, realm, description string, scopes []string) string {
	if e == noChallenge {
		return ""
	}
	attributes := []string{`Bearer realm="` + quotable(realm) + `"`}
	add := func(name, value string) { attributes = append(attributes, name+`="`+quotable(value)+`"`) }
	switch e {
	case invalidRequest:
		add("error", "invalid_request")
	case invalidToken:
		add("error", "invalid_token")
	case insufficientScope:
		add("error", "insufficient_scope")
	}
	if e != bareChallenge {
		add("error_description", description)
	}
	if e == insufficientScope && len(scopes) > 0 {
		add("scope", strings.Join(scopes, " "))
	}
	return strings.Join(attributes, ", ")
}

// quotable keeps what error_description, scope and realm may hold: %x20-21 / %x23-5B / %x5D-7E (RFC 6750 §3).
// Our own texts and scopes are within it already; this is the second lock.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
