// Package admin is the operator's listener: named tokens, each with scopes, in front of handlers that other rooms hand
// it. It knows nothing of what they do. Whoever asks is named in an audit line, whatever the answer.
package admin

import (
	"log/slog"
	"net/http"
)

// Scope is what a token may do; each route asks for one.
type Scope string

// The scopes.
const (
	ReadTokens   Scope = "tokens:read"
	RevokeTokens Scope = "tokens:revoke"
)

// Token is one operator, or one program of theirs.
type Token struct {
	Name   string   // as the audit log shows it
	SHA256 [32]byte // of the secret, which must be a generated one
	Scopes []Scope
}

// Route is one operation that a room offers.
type Route struct {
	Method string
	Path   string // exact, or in the syntax of http.ServeMux
	Scope  Scope
	Handle http.Handler
}

// Config configures the admin API.
type Config struct {
	Tokens []Token // at least one
	Routes []Route
	Logger *slog.Logger // nil: discards
}

// New builds the handler of the admin listener: 401 without a known token, 403 without the scope, then the route.
func New(c Config) (http.Handler, error) { panic("contract") }

// Caller is the name of the token that a request came with, for what a room writes down itself.
func Caller(r *http.Request) string { panic("contract") }
