package verifier

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Claims are the verified claims of an access token.
type Claims struct {
	Issuer    string
	Subject   string
	Audience  []string
	ClientID  string
	ID        string // jti: what logs may name and operators can revoke
	Scopes    []string
	IssuedAt  time.Time
	ExpiresAt time.Time
	Handles   Handles // zero when the token has none
	payload   json.RawMessage
}

// Handles are the opaque names by which revocation speaks of a token (the JWT's `handles` claim).
type Handles struct {
	Client  string `json:"client"`
	Family  string `json:"family"`
	Subject string `json:"subject"`
}

// HasScope reports whether the token carries the scope.
func (c *Claims) HasScope(s string) bool { return slices.Contains(c.Scopes, s) }

// Decode unmarshals the whole payload into v with encoding/json: for a service's own typed claims. Like all of
// encoding/json it also takes TENANT for `json:"tenant"`; but no two claims differ in case alone, so it never has
// to choose between them. Inside nested claims names are unique only by their exact spelling.
func (c *Claims) Decode(v any) error {
	if err := json.Unmarshal(c.payload, v); err != nil {
		return fmt.Errorf("verifier: decode claims: %w", err)
	}
	return nil
}

// maxFuture is how far ahead of us an issuer's clock may be before its iat is nonsense. It is no leeway: iat says
// when a token was made, not from when it holds (that is nbf), so this only refuses what no honest clock explains.
const maxFuture = 60 * time.Second

// checkRegistered checks iss, aud, exp, iat and nbf in this order (RFC 7519 §4.1) and keeps what it read.
func (t *signedToken) checkRegistered(e Expect, now time.Time) error {
	if issuer, _ := t.claims.text("iss"); issuer != e.Issuer {
		return invalid("its iss is another issuer")
	}
	var ok bool
	if t.audience, ok = t.claims.texts("aud"); !ok || !slices.Contains(t.audience, e.Audience) {
		return invalid("its aud does not name this audience")
	}
	if t.expires, ok = t.claims.date("exp"); !ok {
		return invalid("its exp is missing or not a date")
	}
	if !now.Before(t.expires.Add(e.Leeway)) {
		return ErrExpired
	}
	if t.issued, ok = t.claims.date("iat"); !ok && t.claims.has("iat") {
		return invalid("its iat is not a date")
	}
	if t.issued.After(now.Add(maxFuture)) {
		return invalid("its iat is in the future")
	}
	begins, ok := t.claims.date("nbf")
	if !ok && t.claims.has("nbf") {
		return invalid("its nbf is not a date")
	}
	if begins.After(now.Add(e.Leeway)) {
		return invalid("its nbf is in the future")
	}
	return nil
}

// accessClaims reads what RFC 9068 §2.2 requires beyond the registered claims, and what we add.
func accessClaims(t *signedToken) (*Claims, error) {
	c := &Claims{Audience: t.audience, IssuedAt: t.issued, ExpiresAt: t.expires, payload: t.payload}
	if !t.claims.has("iat") {
		return nil, invalid("its iat is missing")
	}
	c.Issuer, _ = t.claims.text("iss")
	for _, required := range []struct {
		name string
		into *string
	}{{"sub", &c.Subject}, {"client_id", &c.ClientID}, {"jti", &c.ID}} {
		if *required.into, _ = t.claims.text(required.name); *required.into == "" {
			return nil, invalid("its " + required.name + " is missing or not a string")
		}
	}
	scope, ok := t.claims.text("scope")
	if !ok && t.claims.has("scope") {
		return nil, invalid("its scope is not a string")
	}
	c.Scopes = strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' })
	if c.Handles, ok = t.claims.handles(); !ok {
		return nil, invalid("its handles are malformed")
	}
	return c, nil
}

// handles reads the handles claim; a token without one has empty handles.
func (o object) handles() (h Handles, ok bool) {
	raw, ok := o.raw("handles")
	if !ok {
		return Handles{}, true
	}
	inner, err := parseObject([]byte(raw))
	if err != nil {
		return Handles{}, false
	}
	for _, m := range inner {
		text, isText := inner.text(m.name)
		if !isText {
			return Handles{}, false
		}
		switch m.name {
		case "client":
			h.Client = text
		case "family":
			h.Family = text
		case "subject":
			h.Subject = text
		}
	}
	return h, true
}

// texts reads a claim that is one string or an array of strings, as `aud` is (RFC 7519 §4.1.3).
func (o object) texts(name string) ([]string, bool) {
	if one, ok := o.text(name); ok {
		return []string{one}, true
	}
	raw, ok := o.raw(name)
	if !ok {
		return nil, false
	}
	elements, ok := parseArray(raw)
	for i, element := range elements {
		if element[0] != '"' {
			return nil, false
		}
		if elements[i], ok = unquote(element); !ok {
			return nil, false
		}
	}
	return elements, ok
}

// maxDate is the last second of the year 9999; time.Time's own formats end there.
const maxDate = 253402300799

// date reads a NumericDate (RFC 7519 §2): seconds since 1970, a fraction allowed. False for a string, a negative
// number, and one past the year 9999 (so also 1e400).
func (o object) date(name string) (time.Time, bool) {
	raw, ok := o.raw(name)
	if !ok || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(raw, 64)
	if err != nil || seconds > maxDate {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
