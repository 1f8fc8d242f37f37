package verifier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what Signed looks at.
const (
	defaultMaxBytes = 16 << 10 // of a token
	maxLeeway       = 60 * time.Second
)

// Expect says what a signed token must be.
type Expect struct {
	Type     string        // required; the `typ` header, e.g. "at+jwt"; compared without case and without an "application/" prefix
	Untyped  bool          // instead of Type: the header must have no `typ`, as with issuers that name no class
	Issuer   string        // required; exact
	Audience string        // required; one of `aud`
	Leeway   time.Duration // for exp and nbf; 0 to 60 s; default 0
	MaxBytes int           // of the token; default 16 KiB
}

// check refuses an Expect that would skip a check (RFC 8725 §3.8, §3.9, §3.11).
func (e Expect) check() error {
	switch {
	case e.Type == "" && !e.Untyped:
		return errors.New("verifier: no token type to expect: set Expect.Type, for example at+jwt")
	case e.Type != "" && e.Untyped:
		return errors.New("verifier: a token type to expect, and none: set one of Expect.Type and Expect.Untyped")
	case e.Issuer == "":
		return errors.New("verifier: no issuer to expect: name the issuer whose tokens are accepted")
	case e.Audience == "":
		return errors.New("verifier: no audience to expect: name the audience that this service is")
	case e.Leeway < 0 || e.Leeway > maxLeeway:
		return fmt.Errorf("verifier: leeway %v is not between 0 and %v", e.Leeway, maxLeeway)
	case e.MaxBytes < 0:
		return fmt.Errorf("verifier: MaxBytes %d is below 0", e.MaxBytes)
	}
	return nil
}

// Signed verifies any of the issuer's signed token classes and returns its payload: one JSON object, checked
// strictly (UTF-8, no two members with one name). The checks and their order are those of Verifier.Verify, less
// the claims that only access tokens need. Services use New; this is for other classes of token.
func Signed(ctx context.Context, keys KeySource, raw string, e Expect, now time.Time) (json.RawMessage, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	t, err := verifySigned(ctx, keys, raw, e, now)
	if err != nil {
		return nil, err
	}
	return t.payload, nil
}

// signedToken is a token whose signature and registered claims hold.
type signedToken struct {
	payload  json.RawMessage
	claims   object
	audience []string
	issued   time.Time // zero: no iat
	expires  time.Time
}

// verifySigned is the order of checks: nothing of the payload is read before the signature holds, and no key
// source is asked for a token that no key could make valid. The parser of golang-jwt is not used: it reads JSON as
// encoding/json does, takes an algorithm's word for a key, lets exp be absent, and does not look at typ.
func verifySigned(ctx context.Context, keys KeySource, raw string, e Expect, now time.Time) (*signedToken, error) {
	header, body, signature, err := split(raw, e.MaxBytes)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if h.untyped != e.Untyped || !h.isType(e.Type) {
		return nil, invalid("its typ is another class of token")
	}
	if err := h.verify(ctx, keys, raw[:len(header)+1+len(body)], signature); err != nil {
		return nil, err
	}
	payload, ok := decodeSegment(body)
	if !ok {
		return nil, invalid("its payload is not base64url")
	}
	claims, err := parseObject(payload)
	if err != nil {
		return nil, invalid("its payload is " + err.Error())
	}
	t := &signedToken{payload: payload, claims: claims}
	return t, t.checkRegistered(e, now)
}

// split cuts a compact serialization (RFC 7515 §7.1) into its three parts. The size comes first; then one pass
// over the alphabet, because Go's decoder ignores CR and LF, even in Strict mode.
func split(raw string, maxBytes int) (header, body, signature string, err error) {
	if maxBytes == 0 {
		maxBytes = defaultMaxBytes
	}
	if len(raw) > maxBytes {
		return "", "", "", invalid("it is too long")
	}
	if !isCompact(raw) {
		return "", "", "", invalid("it has a character outside base64url")
	}
	header, rest, _ := strings.Cut(raw, ".")
	body, signature, _ = strings.Cut(rest, ".")
	if header == "" || body == "" || signature == "" || strings.Contains(signature, ".") {
		return "", "", "", invalid("it has not three parts")
	}
	return header, body, signature, nil
}

// isCompact: base64url and dots, and nothing else.
func isCompact(raw string) bool {
	for i := range len(raw) {
		if !isBase64URL(raw[i]) && raw[i] != '.' {
			return false
		}
	}
	return true
}

func isBase64URL(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// decodeSegment decodes what split has found to be of the alphabet. Strict refuses spare bits that are not zero,
// so that each part has one spelling.
func decodeSegment(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// header is what we read of a JOSE header. jku, jwk, x5u, x5c and every unknown member are ignored: a token never
// brings its own key (RFC 8725 §3.10).
type header struct {
	typ, alg, kid string
	untyped       bool // there is no typ, not even one that is no string
}

func parseHeader(segment string) (header, error) {
	text, ok := decodeSegment(segment)
	if !ok {
		return header{}, invalid("its header is not base64url")
	}
	o, err := parseObject(text)
	if err != nil {
		return header{}, invalid("its header is " + err.Error())
	}
	// We understand no extension, so any crit is one too many, also an empty or broken one (RFC 7515 §4.1.11).
	if o.has("crit") {
		return header{}, invalid("its header has crit")
	}
	h := header{untyped: !o.has("typ")}
	h.typ, _ = o.text("typ")
	h.alg, _ = o.text("alg")
	h.kid, _ = o.text("kid")
	if !knownAlgorithm(h.alg) {
		return header{}, invalid("its alg is not accepted")
	}
	// Without a kid every key of the set would be a candidate.
	if !validKeyID(h.kid) {
		return header{}, invalid("its kid is missing or malformed")
	}
	return h, nil
}

// isType compares media types as RFC 7515 §4.1.9 and RFC 9068 §4 say: no case, "application/" may be left out.
func (h header) isType(want string) bool {
	return strings.EqualFold(bareType(h.typ), bareType(want))
}

func bareType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		return typ[len(prefix):]
	}
	return typ
}

// verify finds the key and checks the signature. What a source cannot tell is never the token's fault.
func (h header) verify(ctx context.Context, keys KeySource, input, signature string) error {
	k, err := keys.Key(ctx, h.kid)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case errors.Is(err, ErrKeysUnavailable):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	case k.Algorithm != h.alg:
		return invalid("its alg is not that of its key")
	}
	mac, ok := decodeSegment(signature)
	if !ok {
		return invalid("its signature is not base64url")
	}
	if err := k.verify(input, mac); err != nil {
		return invalid("its signature does not hold")
	}
	return nil
}
