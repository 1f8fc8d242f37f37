package issuer

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
)

// clientCredentials is RFC 6749 §4.4: the client speaks for itself.
const clientCredentials = "client_credentials"

// basis is what a grant rests on: whom it speaks for, and what it can at most be. Each grant type makes one out of what it
// was sent; from there on all grants are decided, minted and stored alike.
type basis struct {
	subject    string                     // `sub` of every JWT: "client:" + id, or that of somebody for whom another issuer speaks
	claims     map[string]json.RawMessage // that another issuer says of the subject; none has a reserved name
	within     map[string][]string        // audience → scopes: nothing else is given; nil: whatever the client may have
	until      time.Time                  // no token lives longer; zero: the client's ttl alone counts
	family     string                     // handle of the family that it belongs to; empty: it begins one
	act        *actor                     // who acts for the subject; nil: nobody
	mayAct     string                     // who alone may act for it; empty: that was not said
	depth      int                        // how many exchanges lie behind it
	issuedType string                     // of token exchange: what the answer calls the token
	presented  *presentedRefresh          // the refresh token that it comes from; nil: from none
}

// granter makes the basis of one grant type. Its client has authenticated, is registered for the grant type, and may be a
// public one.
//
// The event gathers what the log may say. Whatever the granter looks at, it looks at after Since was read: a revocation
// of it that comes later refuses the deposit.
type granter func(ctx context.Context, c *clients.Known, req tokenRequest, e *event) (basis, *refusal)

// newGranters are the grant types that are offered, by name.
func (i *Issuer) newGranters() map[string]granter {
	all := map[string]granter{clientCredentials: grantClient, tokenExchange: i.grantExchange, jwtBearer: i.grantAssertion}
	if i.families != nil {
		all[refreshToken] = i.grantRefresh
	}
	return all
}

// grantClient is client_credentials.
func grantClient(_ context.Context, c *clients.Known, _ tokenRequest, _ *event) (basis, *refusal) {
	if c.Public {
		return basis{}, refuse(unauthorized, "a public client may not use this grant type") // RFC 6749 §4.4
	}
	return basis{subject: clientSubject(c.ID)}, nil
}

// clientSubject keeps a client from ever having the name of a user (RFC 9068 §5).
func clientSubject(id string) string { return "client:" + id }

// granter finds the one for a request. Who may use none of them learns whether the grant type exists, and no more.
func (i *Issuer) granter(c *clients.Known, grantType string) (granter, *refusal) {
	g, offered := i.granters[grantType]
	switch {
	case grantType == "":
		return nil, refuse(invalidRequest, "grant_type is missing")
	case !offered:
		return nil, refuse(unsupportedGrant, "this grant type is not offered")
	case !slices.Contains(c.GrantTypes, grantType):
		return nil, refuse(unauthorized, "this client may not use this grant type")
	}
	return g, nil
}

// clip takes away from a decision what the basis does not reach. Something that was asked for by name and is not reached is
// a refusal, as it is when the client may not have it.
func (b basis) clip(shares []share, a ask) ([]share, *refusal) {
	if b.within == nil {
		return shares, nil
	}
	asked := len(a.audiences)+len(a.resources) > 0
	kept := make([]share, 0, len(shares))
	for _, s := range shares {
		reach, ok := b.within[s.audience]
		scopes := slices.DeleteFunc(slices.Clone(s.scopes), func(scope string) bool { return !slices.Contains(reach, scope) })
		switch {
		case len(a.scopes) > 0 && len(scopes) < len(s.scopes):
			return nil, refuse(invalidScope, "a scope is not among those of the token that was presented")
		case ok:
			kept = append(kept, share{s.audience, scopes})
		case asked:
			return nil, &refusal{outcome: invalidTarget, why: "the token that was presented does not reach an audience", about: s.audience}
		}
	}
	if len(kept) == 0 {
		return nil, refuse(invalidTarget, "the token that was presented reaches none of this client's audiences")
	}
	return kept, nil
}

// expires is when a grant of this basis ends that is issued at a moment: whole seconds, and never beyond the basis.
func (b basis) expires(issued time.Time, ttl time.Duration) time.Time {
	end := issued.Add(ttl)
	if !b.until.IsZero() && b.until.Before(end) {
		return b.until.Truncate(time.Second)
	}
	return end
}

// handles are the names by which what rests on this basis can be revoked.
func (b basis) handles(k indexKey, clientID, jti string) exchange.Handles {
	h := k.of(clientID, b.subject, jti)
	if b.family != "" {
		h.Family = b.family
	}
	return h
}
