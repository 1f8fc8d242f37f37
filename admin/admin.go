// Package admin is the operator's listener: named tokens, each with scopes, in front of handlers that other rooms hand
// it. It knows nothing of what they do.
//
// # What it promises
//
//   - Nobody gets anywhere without a token, not even to the answer that there is nothing: 401 comes before 404 and 405.
//     Then comes the scope that the route asks for: 403 names it.
//   - A presented token is compared with all tokens, in constant time, and the work is the same whichever it is. Kept is
//     the SHA-256 of a generated secret (HashSecret), never the secret.
//   - Every call with a known token leaves one audit line, whatever its answer: who, what, from where, how it ended. Paths
//     are named by their pattern; no token, query or body is ever logged. An address that goes on with wrong tokens gets one
//     line a second, which tells how many had none.
//   - A change is written down by the Auditor before it is made; one that cannot be is a 503, and is not made.
//   - Bodies are bounded. Paths have one spelling, and nothing is redirected: a client that follows would send its token
//     along. A panic is a 500 that says nothing.
//   - A valid token is never made to wait for somebody else's wrong ones. A connection ends with the first refusal on it.
//
// Time-outs, TLS and the cap on header bytes are the server's that the handler is put in.
package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// Scope is what a token may do; each route asks for one.
type Scope string

// The scopes.
const (
	ReadTokens   Scope = "tokens:read"
	RevokeTokens Scope = "tokens:revoke"
	ReadClients  Scope = "clients:read"
	WriteClients Scope = "clients:write"
)

func scopes() []Scope { return []Scope{ReadTokens, RevokeTokens, ReadClients, WriteClients} }

// Token is one operator, or one program of theirs.
type Token struct {
	Name   string            // as the audit log shows it: up to 64 of A-Z a-z 0-9 . _ -
	SHA256 [sha256.Size]byte // of the secret, which must be a generated one: see HashSecret
	Scopes []Scope           // at least one
}

// Route is one operation that a room offers.
type Route struct {
	Method string // GET also answers HEAD
	Path   string // exact, or in the syntax of http.ServeMux; without host and without a final slash
	Scope  Scope
	Handle http.Handler
}

// Config configures the admin API.
type Config struct {
	Tokens []Token // at least one
	Routes []Route
	Logger *slog.Logger // nil: discards
	// Auditor is told of every change before it is made, of how it ended, and of every denial; nil: nobody is.
	Auditor Auditor
	// Known is told of each request with a known token before anything else is done for it, so that a listener can tell
	// whose connection that is; nil: nobody is.
	Known func(context.Context)
}

// New builds the handler of the admin listener: 401 without a known token, 404 and 405, 403 without the scope, then the
// route. It says everything that is wrong with its configuration at once.
func New(c Config) (http.Handler, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Auditor == nil {
		c.Auditor = noAuditor{}
	}
	if c.Known == nil {
		c.Known = func(context.Context) {}
	}
	if err := errors.Join(checkTokens(c.Tokens), checkRoutes(c.Routes)); err != nil {
		return nil, err
	}
	return &api{
		tokens: slices.Clone(c.Tokens),
		routes: newRouter(c.Routes),
		brake:  newBrake(),
		logger: c.Logger,
		known:  c.Known,

		auditor: c.Auditor,
	}, nil
}

// minSecret is what a generated secret has at least: 32 characters of hex are 128 bits.
const minSecret = 32

// HashSecret is what to keep of a token's secret. One that is short was not generated, and a plain hash does not protect
// what can be guessed.
func HashSecret(secret string) ([sha256.Size]byte, error) {
	if len(secret) < minSecret || len(secret) > maxSecret || strings.ContainsFunc(secret, notInTokens) {
		return [sha256.Size]byte{}, fmt.Errorf(
			"admin: the secret of a token needs %d to %d characters of A-Z a-z 0-9 - . _ ~ + / =: generate one with `openssl rand -hex 32`",
			minSecret, maxSecret)
	}
	return sha256.Sum256([]byte(secret)), nil
}

const maxName = 64

func checkTokens(tokens []Token) error {
	if len(tokens) == 0 {
		return errors.New("admin: no tokens: nobody could use the admin API")
	}
	var faults []error
	for n, t := range tokens {
		fault := func(what string) { faults = append(faults, fmt.Errorf("admin: token %q: %s", t.Name, what)) }
		if t.Name == "" || len(t.Name) > maxName || strings.ContainsFunc(t.Name, notInNames) {
			fault("not a name: use up to 64 of A-Z a-z 0-9 . _ -")
		}
		if t.SHA256 == [sha256.Size]byte{} {
			fault("has no secret")
		}
		if len(t.Scopes) == 0 {
			fault("has no scope: it may do nothing")
		}
		for _, s := range t.Scopes {
			if !slices.Contains(scopes(), s) {
				fault(fmt.Sprintf("scope %q does not exist: use some of %v", s, scopes()))
			}
		}
		for _, other := range tokens[:n] {
			if other.Name == t.Name {
				fault("is there twice")
			} else if other.SHA256 == t.SHA256 {
				fault(fmt.Sprintf("has the secret of %q: the audit log could not tell them apart", other.Name))
			}
		}
	}
	return errors.Join(faults...)
}

func checkRoutes(routes []Route) error {
	var faults []error
	for n, r := range routes {
		complete := r.Method != "" && r.Scope != "" && r.Handle != nil
		if !complete || !strings.HasPrefix(r.Path, "/") || strings.HasSuffix(r.Path, "/") {
			faults = append(faults, fmt.Errorf("admin: route %s %s needs method, scope, handler and a path without final slash", r.Method, r.Path))
		}
		if slices.ContainsFunc(routes[:n], func(o Route) bool { return o.Method == r.Method && o.Path == r.Path }) {
			faults = append(faults, fmt.Errorf("admin: route %s %s is there twice", r.Method, r.Path))
		}
	}
	return errors.Join(faults...)
}

func notInNames(c rune) bool {
	return ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && !strings.ContainsRune("._-", c)
}

// notInTokens: outside of RFC 6750 §2.1's b64token.
func notInTokens(c rune) bool { return notInNames(c) && !strings.ContainsRune("~+/=", c) }
