package exchange

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Token is a JWT on its way to one service. It cannot be printed, logged, marshalled or compared with ==: every
// formatter sees "[token]", every encoder an error. Reveal is the one way out.
type Token struct{ text secret }

// NewToken takes a JWT in its compact form.
func NewToken(jwt string) Token { return Token{hide(jwt)} }

// Reveal is the one way out.
func (t Token) Reveal() string { return t.text.reveal() }

// String is "[token]", whatever the token.
func (t Token) String() string { return "[token]" }

// Format writes "[token]" for every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue is "[token]".
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText fails, and with it every encoder that would use it.
func (t Token) MarshalText() ([]byte, error) {
	return nil, errors.New("exchange: a token cannot be marshalled")
}
