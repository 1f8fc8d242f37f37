package issuer

import (
	"net/http"
	"strings"
)

// representation is a form in which the introspection endpoint answers: its media type.
type representation string

const (
	asJSON   representation = "application/json"                    // RFC 7662 §2.2
	asSigned representation = "application/token-introspection+jwt" // RFC 9701 §5
	asBare   representation = "application/jwt"                     // the token itself, as plugins for phantom tokens ask for it
)

// maxAccept is how much of Accept is read, in bytes over all of its fields. A browser sends some 150.
const maxAccept = 1 << 10

// mediaRange is one element of Accept (RFC 9110 §12.5.1). Parameters other than q are read and not compared: none of
// what is offered has any.
type mediaRange struct {
	kind   string // in lower case; `*/*` and `type/*` included
	weight int    // q, in thousandths
}

// negotiate picks the representation that the caller likes best; JSON when he says nothing. Of two that he likes alike the
// one wins that he names more closely (`application/jwt, */*` is application/jwt), then the order above.
func negotiate(h http.Header) (representation, *refusal) {
	text := strings.Join(h.Values("Accept"), ",")
	if len(text) > maxAccept {
		return "", refuse(invalidRequest, "Accept is longer than 1 KiB")
	}
	if strings.Trim(text, " \t,") == "" {
		return asJSON, nil
	}
	ranges := parseAccept(text)
	var best representation
	var likes, close int
	for _, offer := range []representation{asJSON, asSigned, asBare} {
		weight, named := offer.liked(ranges)
		if weight > likes || weight == likes && weight > 0 && named > close {
			best, likes, close = offer, weight, named
		}
	}
	if likes == 0 {
		return "", refuse(notAcceptable, "this endpoint answers as application/json, application/token-introspection+jwt or application/jwt")
	}
	return best, nil
}

// liked is the weight of the closest range that covers r, and how close that is: 3 by name, 2 by its type, 1 by `*/*`. A
// closer range overrules, also downwards: `*/*, application/json;q=0` is anything but JSON.
func (r representation) liked(ranges []mediaRange) (weight, named int) {
	for _, a := range ranges {
		closeness := 0
		switch a.kind {
		case string(r):
			closeness = 3
		case "application/*":
			closeness = 2
		case "*/*":
			closeness = 1
		}
		if closeness > named || closeness == named && closeness > 0 && a.weight > weight {
			weight, named = a.weight, closeness
		}
	}
	return weight, named
}

// parseAccept leaves out what is not well-formed: such an element asks for nothing that could be given.
func parseAccept(text string) (ranges []mediaRange) {
	for element := range splitUnquoted(text, ',') {
		if a, ok := parseRange(element); ok {
			ranges = append(ranges, a)
		}
	}
	return ranges
}

func parseRange(element string) (a mediaRange, ok bool) {
	a.weight = 1000
	first := true
	for part := range splitUnquoted(element, ';') {
		part = strings.Trim(part, " \t")
		if first {
			first = false
			major, minor, _ := strings.Cut(part, "/")
			if !isToken(major) || !isToken(minor) || major == "*" && minor != "*" {
				return a, false
			}
			a.kind = strings.ToLower(part)
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if part == "" { // RFC 9110 §5.6.6: a semicolon too many
			continue
		}
		if strings.EqualFold(name, "q") {
			a.weight, ok = parseWeight(value)
			return a, ok // what follows q is no parameter of the range
		}
		if !isToken(name) || !isToken(value) && !isQuoted(value) {
			return a, false
		}
	}
	return a, true
}

// parseWeight reads a qvalue: 0 or 1 with at most three digits behind the point (RFC 9110 §12.4.2).
func parseWeight(s string) (thousandths int, ok bool) {
	whole, digits, point := strings.Cut(s, ".")
	if len(digits) > 3 || strings.Trim(digits, "0123456789") != "" || whole != "0" && whole != "1" {
		return 0, false
	}
	if whole == "1" {
		return 1000, !point || strings.Trim(digits, "0") == ""
	}
	for _, d := range (digits + "000")[:3] {
		thousandths = 10*thousandths + int(d-'0')
	}
	return thousandths, true
}

// splitUnquoted cuts at a separator that stands outside of quotes.
func splitUnquoted(s string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for n := 0; n < len(s); n++ {
			switch {
			case s[n] == '"':
				quoted = !quoted
			case s[n] == '\\' && quoted:
				n++
			case s[n] == separator && !quoted:
				if !yield(s[start:n]) {
					return
				}
				start = n + 1
			}
		}
		yield(s[start:])
	}
}

// isToken: RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// isQuoted: one quoted string, from its first quote to its last (RFC 9110 §5.6.4).
func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for n := 1; n < len(s)-1; n++ {
		switch {
		case s[n] == '\\' && n < len(s)-2:
			n++
		case s[n] == '"' || s[n] == '\\':
			return false
		}
	}
	return true
}
