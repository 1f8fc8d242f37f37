package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
	"github.com/coatcheck/coatcheck/verifier"
)

// assertionType is RFC 7523 §2.2's, and the only one.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of an assertion. What it names is remembered until it ends, so its life bounds what a client leaves in the store.
const (
	maxAssertion     = maxValue
	maxAssertionID   = 256             // bytes of its jti
	maxAssertionLife = 5 * time.Minute // exp is at most so far ahead
	// assertionSkew is how far the clocks of a client and of this issuer may differ. After the store was opened anew,
	// assertions are refused for so long and some seconds, so it is not longer than clocks need.
	assertionSkew = 10 * time.Second
	// retrySpent is when a client may try again that a store does not dare to let in.
	retrySpent = 15 * time.Second
)

// Names gives each name to one caller. Both stores of package store are one. It is an interface because all issuers of one
// system share what is behind it, and because a test must show one that cannot tell.
type Names interface {
	// Once reports whether a name was free, and takes it until a moment. from is the first moment at which anybody can have
	// taken it: a store that may have forgotten what was taken since then fails. After an error the name may be taken.
	// Bounded by ctx; safe for concurrent use.
	Once(ctx context.Context, name string, from, until time.Time) (free bool, err error)
}

// assertions check what clients sign to say who they are (RFC 7523 §3).
type assertions struct {
	audience string // the issuer, exactly
	names    Names  // nil: not offered
}

// assertionTypes are the classes (`typ`) that may be presented: the one that is meant for it, and, for the many clients that
// name no class, JWT and none. Any other was signed for something else (RFC 8725 §3.11).
func assertionTypes() []string {
	return []string{"", "jwt", "application/jwt", "client-authentication+jwt", "application/client-authentication+jwt"}
}

// check accepts one assertion of a client, and never again. In this order, and the first failure ends it:
//
//  1. class
//  2. signature, by a key of this client and an algorithm that it may use; one, and nothing is looked up before it holds
//  3. iss, aud, exp, iat, nbf; sub is iss; aud is one string, this issuer; exp is at most five minutes ahead
//  4. jti: was never used; this is the one question to the store, and only the client itself can cause it
//
// aud is the issuer alone, and not the URL of an endpoint: a client that signs for whatever URL it was told can be told
// another server's by a hostile one, which then presents the assertion there.
func (a assertions) check(ctx context.Context, known *clients.Known, raw string) *refusal {
	class := strings.ToLower(trust.Say(raw).Type)
	if !slices.Contains(assertionTypes(), class) {
		return stranger("the assertion's typ is another class of token")
	}
	now := time.Now()
	payload, err := verifier.Signed(ctx, known.Keys, raw, verifier.Expect{
		Type: class, Untyped: class == "", Issuer: known.ID, Audience: a.audience, Leeway: assertionSkew, MaxBytes: maxAssertion,
	}, now)
	if errors.Is(err, verifier.ErrKeysUnavailable) {
		return unavailableNow("the client's keys cannot be had now", err)
	}
	if err != nil {
		return &refusal{outcome: invalidClient, why: wrongCredentials, detail: fmt.Errorf("assertion: %w", err)}
	}
	said, cause := readAssertion(payload, known.ID, a.audience, now)
	if cause != "" {
		return stranger(cause)
	}
	free, err := a.names.Once(ctx, assertionName(known.ID, said.id), said.from, said.until)
	switch {
	case err != nil:
		no := unavailableNow("it cannot be told now whether this assertion was used: make a new one, and try again", err)
		no.retry = retrySpent
		return no
	case !free:
		return stranger("the assertion was used before")
	}
	return nil
}

// asserted is what counts of an assertion.
type asserted struct {
	id          string
	from, until time.Time // nobody accepts it before or after
}

// readAssertion reads a payload whose signature, iss, exp, iat and nbf hold; cause says what else does not.
func readAssertion(payload []byte, client, audience string, now time.Time) (said asserted, cause string) {
	var c map[string]json.RawMessage // by exact names, which a struct is not
	if err := json.Unmarshal(payload, &c); err != nil {
		return said, "the assertion's payload is not an object"
	}
	expires := claimTime(c["exp"])
	said.id = claimText(c["jti"])
	// It could not be presented before any of these.
	said.from, said.until = expires.Add(-maxAssertionLife), expires.Add(assertionSkew)
	for _, name := range []string{"iat", "nbf"} {
		if t := claimTime(c[name]).Add(-assertionSkew); t.After(said.from) {
			said.from = t
		}
	}
	switch {
	case claimText(c["sub"]) != client:
		return said, "the assertion's sub is not its iss"
	case claimText(c["aud"]) != audience:
		return said, "the assertion's aud is not the issuer alone, as one string: " + audience
	case expires.Sub(now) > maxAssertionLife:
		return said, "the assertion's exp is more than 5 minutes ahead"
	case said.from.After(now):
		return said, "the assertion's iat is more than 10 seconds ahead: see that the clocks are right"
	case said.id == "" || len(said.id) > maxAssertionID:
		return said, "the assertion's jti is missing, or over 256 bytes"
	}
	return said, ""
}

// assertionName is what the store remembers: nothing of the client or its jti can be read there. The length keeps two pairs
// from ever being one.
func assertionName(client, id string) string {
	text := binary.BigEndian.AppendUint32([]byte("coatcheck/v1/assertion/"), uint32(len(client)))
	sum := sha256.Sum256(append(append(text, client...), id...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// claimText is a string, else empty.
func claimText(raw json.RawMessage) (s string) {
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// claimTime is a NumericDate, else zero. Package verifier has seen that it is one, if it is there.
func claimTime(raw json.RawMessage) time.Time {
	var seconds float64
	if len(raw) == 0 || json.Unmarshal(raw, &seconds) != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000))
}
