package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// maxSecret bounds what is hashed for a stranger.
const maxSecret = 256

// authenticate finds the token that a request came with; nil: none of ours. All of them are compared, with no early end,
// so that how long it takes says nothing about which one, or how much of it, was right.
func (a *api) authenticate(h http.Header) *Token {
	secret, ok := presented(h)
	if !ok {
		return nil
	}
	sum := sha256.Sum256([]byte(secret))
	found := -1
	for n := range a.tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], a.tokens[n].SHA256[:]), n, found)
	}
	if found < 0 {
		return nil
	}
	return &a.tokens[found]
}

// presented is the one bearer token of a request (RFC 6750 §2.1); false: there is none, or more than one reading.
func presented(h http.Header) (string, bool) {
	fields := h.Values("Authorization")
	if len(fields) != 1 {
		return "", false
	}
	scheme, secret, _ := strings.Cut(fields[0], " ")
	secret = strings.TrimLeft(secret, " ")
	ok := strings.EqualFold(scheme, "Bearer") && secret != "" && len(secret) <= maxSecret && !strings.ContainsFunc(secret, notInTokens)
	return secret, ok
}

func (t *Token) may(s Scope) bool { return slices.Contains(t.Scopes, s) }
