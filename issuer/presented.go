package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/verifier"
)

// presented is what is known of a token that a client wants to end. The zero value is one that ends nothing: malformed,
// forged, expired, and nobody outside learns which.
type presented struct {
	jti     string
	client  string // empty: nobody knows any more, so whoever has it may end it
	expires time.Time
	alive   bool      // the store has just said so; else an earlier revocation may have ended it
	family  string    // handle of what ends with it; empty: only the token itself does, or nobody knows any more
	last    time.Time // when the last of the family expires
}

// present finds out what a client has sent. A reference has no dot, and a JWT has two.
func (i *Issuer) present(ctx context.Context, raw string) (presented, *refusal) {
	if strings.Count(raw, ".") == 2 {
		return i.presentJWT(ctx, raw)
	}
	if p, ours, no := i.presentRefresh(ctx, raw); ours {
		return p, no
	}
	pass, _, err := i.grants.Swap(ctx, raw, exchange.Strict)
	if err == nil {
		g := pass.Grant()
		return i.withFamily(ctx, presented{jti: g.JTI(), client: g.ClientID(), expires: g.ExpiresAt(), alive: true})
	}
	switch reasonOf(err) {
	case exchange.ReasonMalformed, exchange.ReasonForged, exchange.ReasonStale:
		return presented{}, nil // not ours, or older than any token becomes, whatever the store says
	case exchange.ReasonUnknown, exchange.ReasonExpired, exchange.ReasonKeyRevoked:
		return i.presentDead(raw), nil
	}
	// A record that does not open is no answer: whose it was cannot be told any more, and who damaged it may put it back.
	return presented{}, notLooked(err)
}

func notLooked(err error) *refusal {
	return unavailableNow("the token cannot be looked at now: take it for alive, and ask again", err)
}

// presentRefresh is for a refresh token, the newest of its family or an older one: all that belongs to the family ends. ours
// says that it looks like one.
func (i *Issuer) presentRefresh(ctx context.Context, raw string) (p presented, ours bool, no *refusal) {
	if i.families == nil {
		return presented{}, false, nil
	}
	r, err := i.lookAtRefresh(ctx, raw)
	switch reasonOf(err) {
	case exchange.ReasonMalformed:
		return presented{}, false, nil
	case exchange.ReasonForged, exchange.ReasonStale:
		return presented{}, true, nil
	case exchange.ReasonUnknown: // see presentDead
		life := i.lasting()
		return presented{jti: r.token.JTI(), expires: time.Now().Add(2 * life).Truncate(life)}, true, nil
	}
	if err != nil {
		return presented{}, true, notLooked(err)
	}
	return presented{
		jti: r.token.JTI(), client: r.origin.Client, expires: r.ends, alive: true, family: r.origin.Family, last: r.ends,
	}, true, nil
}

// withFamily adds what ends together with a reference: what was exchanged for it, and the refresh token that came with it
// (RFC 7009 §2.1). Where nothing is ever derived, it is not asked for.
func (i *Issuer) withFamily(ctx context.Context, p presented) (presented, *refusal) {
	if !i.register.derives() {
		return p, nil
	}
	l, err := i.listing.Inspect(ctx, p.jti)
	switch {
	case errors.Is(err, revocation.ErrNotFound), errors.Is(err, revocation.ErrRevoked): // a moment ago it was there
		return p, nil
	case err != nil:
		return presented{}, notLooked(err)
	}
	p.family, p.last = l.Family, time.Now().Add(i.lasting())
	return p, nil
}

// presentDead is a reference of ours that is dead as far as this issuer can see. It is revoked like any other, for others
// may see it differently: a store that has lost it may get it back from a copy, and then the journal has to know; an edge
// whose clock is behind takes it for alive; and the key that was revoked may not be so yet on every shard.
//
// When it expires nobody knows any more: at most a life from now. That is rounded up to whole lives, so that a reference
// that is presented again asks for the same moment as before, and is found in endings: two or three moments until it is stale.
func (i *Issuer) presentDead(raw string) presented {
	jti, err := exchange.JTIOf(raw)
	if err != nil {
		return presented{} // not reached: its tag was right
	}
	life := i.longest()
	return presented{jti: jti, expires: time.Now().Add(2 * life).Truncate(life)}
}

// reasonOf is why the swap refused; empty for any other error.
func reasonOf(err error) exchange.Reason {
	if r, ok := errors.AsType[*exchange.Refusal](err); ok {
		return r.Reason
	}
	return ""
}

// lenient is how long after its exp a service may still accept a JWT: the most that package verifier allows. So long it
// can still be revoked.
const lenient = time.Minute

// presentJWT looks at a JWT. It is ours if one of our keys signed it, retired ones included; whom it was issued for is
// what it says then. Its audience is not asked about: each of them is one of ours, and whoever holds the token may end it.
func (i *Issuer) presentJWT(ctx context.Context, raw string) (presented, *refusal) {
	s, readable := readSaid(raw)
	switch {
	case !readable:
		return presented{}, nil
	case s.typ != tokenType || s.Issuer != i.place.issuer || s.JTI == "":
		// By its own words, so nothing is given away: no signature was looked at.
		return presented{}, refuse(unsupportedToken, "this JWT is not an access token of this issuer, so it cannot be revoked here")
	case s.Audience == "":
		return presented{}, nil
	}
	expect := verifier.Expect{Type: tokenType, Issuer: i.place.issuer, Audience: s.Audience, Leeway: lenient, MaxBytes: exchange.MaxToken}
	payload, err := verifier.Signed(ctx, i.keeper, raw, expect, time.Now())
	if errors.Is(err, verifier.ErrInvalid) {
		return presented{}, nil
	}
	if err != nil {
		return presented{}, notLooked(err)
	}
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil || !validJTI(c.JTI) || c.ClientID == "" {
		return presented{}, refuse(unsupportedToken, "this JWT cannot be revoked")
	}
	p := presented{jti: c.JTI, client: c.ClientID, expires: time.Unix(c.Expires, 0)}
	if i.register.derives() {
		p.family, p.last = c.Handles.Family, time.Now().Add(i.lasting())
	}
	return p, nil
}

// said is what a JWT says of itself, unverified.
type said struct {
	typ      string
	Issuer   string `json:"iss"`
	JTI      string `json:"jti"`
	Audience string `json:"-"`
}

// readSaid reads a JWT without believing it; false: it is none.
func readSaid(raw string) (s said, ok bool) {
	header, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var head struct {
		Type string `json:"typ"`
	}
	var body struct {
		said
		Audience any `json:"aud"` // one string in ours, a list in others
	}
	if !readSegment(header, &head) || !readSegment(payload, &body) {
		return said{}, false
	}
	s, s.typ = body.said, head.Type
	s.Audience, _ = body.Audience.(string)
	return s, true
}

func readSegment(segment string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(text, into) == nil
}

// validJTI: 32 lower-case hex characters, as package exchange makes them.
func validJTI(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}
