package exchange

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Refresh is a refresh token (RFC 6749 §6):
//
//	<prefix>r_ FFFFFFFFFFFFFFFFFFFFF RRRRRRRRRRRRRRRRRRRRRR MMMMM TTTTTTTTTTT CCCCCC     (without the spaces)
//
//	F  21 characters   random, 125 bits: the family. It stays the same from the first token to the last
//	R  22 characters   random, 130 bits: new each time. Whoever knows all older tokens of a family cannot guess the next
//	M, T, C            as in a Reference, but that the tag has a label of its own
//
// It is as long as a reference and one letter, so an edge refuses it by its length, before any look-up; and a reference
// whose prefix happens to be <prefix>r would not have its tag. Like a Reference it cannot be printed, logged, marshalled or
// compared with ==, and whoever has one knows that its form and its tag are right.
type Refresh struct{ text secret }

const (
	refreshMark = "r" // behind the prefix
	familySize  = 21  // of the random part; 62^21 > 2^125

	refreshLabel       = "coatcheck/v1/refresh"
	refreshJTILabel    = "coatcheck/v1/refresh-jti"
	refreshSealLabel   = "coatcheck/v1/refresh-seal"
	refreshMarkLabel   = "coatcheck/v1/refresh-mark"
	refreshAskLabel    = "coatcheck/v1/refresh-ask"
	refreshAnswerLabel = "coatcheck/v1/refresh-answer"

	markSize = 16 // bytes of what the store knows of one refresh token
)

// MaxRefresh is the longest that a family of refresh tokens may live, from its first token on, whatever is configured:
// older tokens are refused before any look-up, and what ends a family is kept as long.
const MaxRefresh = 90 * 24 * time.Hour

// JTI is the log-safe id of the family, and the key of its record: every token of the family has the same.
func (r Refresh) JTI() string {
	return hex.EncodeToString(derive(r.family(), nil, refreshJTILabel, jtiSize))
}

// family is the part that never changes, with the prefix; the caller may wipe it.
func (r Refresh) family() []byte {
	return []byte(r.text.reveal()[:r.text.size-bodySize+familySize])
}

func (r Refresh) whole() []byte { return []byte(r.text.reveal()) }

// mark is what the store knows a token by: nothing of the token can be told from it.
func (r Refresh) mark() string {
	return hex.EncodeToString(derive(r.whole(), nil, refreshMarkLabel, markSize))
}

// request is what the store knows a request by that was made with this token. It is keyed by the token, so that a reader
// of the store cannot try which request it was.
func (r Refresh) request(ask []byte) string {
	key := derive(r.whole(), nil, refreshAskLabel, sha256.Size)
	defer clear(key)
	mac := hmac.New(sha256.New, key)
	mac.Write(ask)
	return hex.EncodeToString(mac.Sum(nil)[:markSize])
}

// sealKey is of the family's record: any of its tokens opens it, together with a pepper of ours.
func (r Refresh) sealKey(pepper []byte) []byte {
	return derive(r.family(), pepper, refreshSealLabel, sealSize)
}

// answerKey is of the answer to this token: only the same token opens it, together with a pepper of ours.
func (r Refresh) answerKey(pepper []byte) []byte {
	return derive(r.whole(), pepper, refreshAnswerLabel, sealSize)
}

// Reveal is the one way out.
func (r Refresh) Reveal() string { return r.text.reveal() }

// String is "[refresh token]", whatever the token.
func (r Refresh) String() string { return "[refresh token]" }

// Format writes "[refresh token]" for every verb.
func (r Refresh) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue is "[refresh token]".
func (r Refresh) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText fails, and with it every encoder that would use it.
func (r Refresh) MarshalText() ([]byte, error) {
	return nil, errors.New("exchange: a refresh token cannot be marshalled")
}
