package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/verifier"
)

// standing is what one service may know of a token. The zero value is a token that is not active: unknown, malformed,
// forged, expired, revoked, another class of token, or for somebody else; nobody outside learns which.
type standing struct {
	jti     string
	expires time.Time
	token   exchange.Token  // what the service itself is sent
	claims  json.RawMessage // those of the token; one object
}

func (s standing) active() bool { return s.jti != "" }

// look finds out how a token stands for the services named by among. The store is asked once, after the request came, so
// that what was revoked before it is never active here, whichever issuer revoked it.
//
// How long it takes is not levelled. What the time could tell a service that has the token, whether it lives and is for
// others, anybody can ask the edge.
func (i *Issuer) look(ctx context.Context, raw string, among []string) (standing, *refusal) {
	if strings.Count(raw, ".") == 2 {
		return i.lookJWT(ctx, raw, among)
	}
	pass, _, err := i.grants.Swap(ctx, raw, exchange.Strict)
	switch {
	case errors.Is(err, exchange.ErrInactive): // what an edge refuses is not active; a refresh token is no reference either
		return standing{}, nil
	case err != nil:
		return standing{}, cannotLook(err)
	}
	g := pass.Grant()
	others := func(audience string) bool { _, has := g.Share(audience); return !has }
	mine := slices.DeleteFunc(slices.Clone(among), others)
	switch len(mine) {
	case 0:
		return standing{}, nil
	case 1:
		return i.standingOf(g, mine[0])
	}
	return standing{}, refuse(invalidRequest, "the token is for several audiences that this client serves: name one in audience or resource")
}

// standingOf reads the JWT of one audience: what the claims in it say was decided when it was made, for that service, and
// the signed manifest vouches for it. One that is encrypted to the service stays closed here too; then only what the
// manifest says is told.
func (i *Issuer) standingOf(g *exchange.Grant, audience string) (standing, *refusal) {
	share, _ := g.Share(audience)
	text := strings.TrimPrefix(share.Authorization(), "Bearer ")
	s := standing{jti: g.JTI(), expires: g.ExpiresAt(), token: exchange.NewToken(text)}
	parts := strings.Split(text, ".")
	var err error
	if len(parts) == 3 {
		s.claims, err = base64.RawURLEncoding.DecodeString(parts[1])
	} else {
		s.claims, err = json.Marshal(map[string]any{
			"iss": i.place.issuer, "aud": audience, "client_id": g.ClientID(),
			"exp": g.ExpiresAt().Unix(), "jti": g.JTI(), "scope": share.Scope(),
		})
	}
	if err != nil {
		return standing{}, &refusal{outcome: internalTrouble, why: "the token cannot be read; the operator's log says why", detail: err}
	}
	return s, nil
}

// lookJWT looks at a JWT that a service was sent: one of ours, for one of its audiences, whose grant is still in the store
// and still the same. The signature says all but that; the record's clear fields say that, and they are what the store
// says: who writes there can keep a token alive that was revoked, here and nowhere else, and never make one.
func (i *Issuer) lookJWT(ctx context.Context, raw string, among []string) (standing, *refusal) {
	said, readable := readSaid(raw)
	if !readable || !slices.Contains(among, said.Audience) {
		return standing{}, nil
	}
	expect := verifier.Expect{Type: tokenType, Issuer: i.place.issuer, Audience: said.Audience, MaxBytes: exchange.MaxToken}
	payload, err := verifier.Signed(ctx, i.keeper, raw, expect, time.Now())
	switch {
	case errors.Is(err, verifier.ErrInvalid):
		return standing{}, nil
	case err != nil:
		return standing{}, cannotLook(err)
	}
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil || !validJTI(c.JTI) {
		return standing{}, nil
	}
	listed, err := i.listing.Inspect(ctx, c.JTI)
	switch {
	case errors.Is(err, revocation.ErrNotFound), errors.Is(err, revocation.ErrRevoked):
		return standing{}, nil
	case err != nil:
		return standing{}, cannotLook(err)
	}
	recorded := exchange.Handles{Client: listed.Client, Family: listed.Family, Subject: listed.Subject}
	if listed.Revoked || recorded != c.Handles || listed.ExpiresAt.Unix() != c.Expires {
		return standing{}, nil
	}
	return standing{jti: c.JTI, expires: listed.ExpiresAt, token: exchange.NewToken(raw), claims: payload}, nil
}

// cannotLook is never said as "not active": a good token would be thrown away for it.
func cannotLook(err error) *refusal {
	return unavailableNow("the token cannot be looked at now: ask again", err)
}
