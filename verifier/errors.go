package verifier

import (
	"errors"
	"fmt"
)

// Errors by which callers decide; WriteError maps them to answers. All arrive wrapped with what was wrong.
// None carries the token or a piece of it: they are safe to log.
var (
	ErrInvalid         = errors.New("verifier: token is not valid")           // 401 invalid_token
	ErrExpired         = fmt.Errorf("%w: it has expired", ErrInvalid)         // 401 invalid_token
	ErrUnknownKey      = errors.New("verifier: no such signing key")          // 401 invalid_token; also ErrInvalid when from Verify
	ErrKeysUnavailable = errors.New("verifier: signing keys are unavailable") // 503, never 401: it says nothing about the token
	ErrScope           = errors.New("verifier: token lacks a scope")          // 403 insufficient_scope
	ErrNoToken         = errors.New("verifier: request has no bearer token")  // 401 with a bare challenge
	ErrMalformed       = errors.New("verifier: malformed Authorization")      // 400 invalid_request
)

// invalid says why a token is refused. The reason is one of our own sentences, never text out of the token.
func invalid(reason string) error {
	return fmt.Errorf("%w: %s", ErrInvalid, reason)
}
