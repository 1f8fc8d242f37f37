package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// retryAfter is what a 503 advises, in seconds: half the default cool-down between two fetches of the keys.
const retryAfter = "5"

// Authenticate verifies the bearer token of a request and its scopes. There must be exactly one Authorization
// field with one token68 credential (RFC 6750 §2.1, RFC 9110 §11.4); tokens in the query or a form are not read.
// Config.OnRefused hears its errors, WriteError answers them. A scope that is empty or holds a space is in no token:
// it refuses everything.
func (v *Verifier) Authenticate(r *http.Request, scopes ...string) (*Claims, error) {
	claims, err := v.authenticate(r, scopes)
	if err != nil {
		v.refused(r, err)
	}
	return claims, err
}

func (v *Verifier) authenticate(r *http.Request, scopes []string) (*Claims, error) {
	raw, err := bearer(r.Header["Authorization"])
	if err != nil {
		return nil, err
	}
	return v.authorize(r.Context(), raw, scopes)
}

// Require is net/http middleware. A refused request is answered per RFC 6750; an accepted one carries its Claims
// in the context.
func (v *Verifier) Require(scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, err := v.Authenticate(r, scopes...)
			if err != nil {
				v.WriteError(w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
		})
	}
}

// bearer takes the token out of the Authorization fields of a request. Another scheme than Bearer is no token; a
// Bearer that is not well formed is a malformed request.
func bearer(fields []string) (string, error) {
	if len(fields) > 1 {
		return "", ErrMalformed
	}
	if len(fields) == 0 {
		return "", ErrNoToken
	}
	scheme, rest, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoToken
	}
	raw := strings.TrimLeft(rest, " ")
	if !isToken68(raw) {
		return "", ErrMalformed
	}
	return raw, nil
}

// isToken68 reports whether s is a token68 (RFC 9110 §11.2): some characters, then any number of "=".
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !isBase64URL(s[i]) && strings.IndexByte(".~+/", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// answer is how an error is told to a client: closed texts, nothing out of the request.
type answer struct {
	status      int
	Code        string `json:"error,omitempty"`
	Description string `json:"error_description"`
}

// answerTo is the table of errors. What is none of them never lets a request pass and never blames the token.
func answerTo(err error) answer {
	switch {
	case errors.Is(err, ErrNoToken):
		return answer{http.StatusUnauthorized, "", "a bearer token is required"}
	case errors.Is(err, ErrMalformed):
		return answer{http.StatusBadRequest, "invalid_request", "send one Authorization field with one bearer token"}
	case errors.Is(err, ErrScope):
		return answer{http.StatusForbidden, "insufficient_scope", "the token lacks a scope"}
	case errors.Is(err, ErrExpired):
		return answer{http.StatusUnauthorized, "invalid_token", "the token has expired"}
	case errors.Is(err, ErrInvalid):
		return answer{http.StatusUnauthorized, "invalid_token", "the token is not valid here"}
	default:
		return answer{http.StatusServiceUnavailable, "temporarily_unavailable", "tokens cannot be verified now"}
	}
}

// WriteError answers a request that Authenticate refused, per RFC 6750 §3: 401 with a challenge (a bare one if
// there was no token), 400, 403 with the scopes that are needed, or 503 with Retry-After. No answer may be cached.
func (v *Verifier) WriteError(w http.ResponseWriter, err error) {
	a := answerTo(err)
	h := w.Header()
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	} else {
		h.Set("WWW-Authenticate", v.challenge(a, err))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a) // the client has gone; there is nobody to tell
}

// challenge names realm, error, error_description and scope, each at most once.
func (v *Verifier) challenge(a answer, err error) string {
	c := "Bearer realm=" + quoted(v.realm)
	if a.Code == "" {
		return c
	}
	c += ", error=" + quoted(a.Code) + ", error_description=" + quoted(a.Description)
	if lack := (*scopeError)(nil); errors.As(err, &lack) {
		c += ", scope=" + quoted(strings.Join(lack.needs, " "))
	}
	return c
}

// quoted makes a quoted-string (RFC 9110 §5.6.4) of printable ASCII; every other byte becomes "?".
func quoted(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

type contextKey struct{}

// NewContext returns ctx with the claims; for middleware of other frameworks.
func NewContext(ctx context.Context, c *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the claims that Require left.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, ok := ctx.Value(contextKey{}).(*Claims)
	return c, ok && c != nil
}
