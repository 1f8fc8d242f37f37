package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/verifier"
)

// look is a look at a token that a client has brought, to derive a grant from it.
type look struct {
	client     *clients.Known
	references []string // clients whose references count
	bad        outcome  // what the client is told of a token that is not good
	what       string   // the parameter
}

// refuse is one answer for every token that is not good, or is not for this client: what it brings, and why that is of no use,
// it learns from nobody. The log does.
func (l look) refuse(cause error) *refusal {
	return &refusal{outcome: l.bad, why: l.what + " is not a live token of its type that this client may use", detail: cause}
}

// refuseUnknown is for a token that nobody can tell good from bad now.
func (l look) refuseUnknown(cause error) *refusal {
	return unavailableNow(l.what+" cannot be looked at now", cause)
}

// lookAt finds out what a token stands for, by what it is and not by what it is called (RFC 8693 §2.1): the type says only
// where to look. A jti comes with a token of ours. Every way in asks first whether the client may use such a token: no
// signature is checked, and nothing fetched, for one who may not.
func (i *Issuer) lookAt(ctx context.Context, l look, raw, kind string) (b basis, jti string, no *refusal) {
	switch kind {
	case accessTokenType:
		b, jti, no = i.lookAtReference(ctx, l, raw)
	case jwtType:
		if issuer := trust.Say(raw).Issuer; issuer == i.place.issuer {
			b, jti, no = i.lookAtJWT(ctx, l, raw)
		} else {
			b, no = i.lookAtForeign(ctx, l, raw, issuer)
		}
	default:
		no = l.refuse(errors.New("another type of token"))
	}
	return b, jti, no
}

// begun refuses what would end before anybody could use it.
func (l look) begun(b basis) (basis, *refusal) {
	if time.Until(b.until) < time.Second {
		return basis{}, l.refuse(errors.New("it ends within a second"))
	}
	return b, nil
}

// lookAtReference asks the store, whatever is remembered.
func (i *Issuer) lookAtReference(ctx context.Context, l look, raw string) (basis, string, *refusal) {
	if len(l.references) == 0 {
		return basis{}, "", l.refuse(errors.New("this client may use no references"))
	}
	pass, _, err := i.grants.Swap(ctx, raw, exchange.Strict)
	switch {
	case errors.Is(err, exchange.ErrInactive):
		return basis{}, "", l.refuse(err)
	case err != nil:
		return basis{}, "", l.refuseUnknown(err)
	}
	g := pass.Grant()
	if !slices.Contains(l.references, g.ClientID()) {
		return basis{}, "", l.refuse(errors.New("a reference of another client"))
	}
	o, err := i.openOrigin(g.JTI(), g.Origin())
	if err != nil || o.Client != g.ClientID() {
		return basis{}, "", l.refuse(errors.Join(err, errors.New("nothing can be derived from it")))
	}
	b, no := l.begun(o.basis(g.ExpiresAt()))
	return b, g.JTI(), no
}

// lookAtJWT is for a JWT of ours that a service has received: only the service that it was made for may come with it, and only
// if it is configured to. Otherwise whoever breaks into a service has references for the edge. Its signature says that it
// was good once; that it still is, the store says.
func (i *Issuer) lookAtJWT(ctx context.Context, l look, raw string) (basis, string, *refusal) {
	s, _ := readSaid(raw)
	if !l.client.Exchange.JWTs || !slices.Contains(l.client.Serves, s.Audience) {
		return basis{}, "", l.refuse(errors.New("a JWT that this client may not exchange"))
	}
	expect := verifier.Expect{Type: tokenType, Issuer: i.place.issuer, Audience: s.Audience, MaxBytes: exchange.MaxToken}
	payload, err := verifier.Signed(ctx, i.keeper, raw, expect, time.Now())
	switch {
	case errors.Is(err, verifier.ErrInvalid):
		return basis{}, "", l.refuse(err)
	case err != nil:
		return basis{}, "", l.refuseUnknown(err)
	}
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil || !validJTI(c.JTI) {
		return basis{}, "", l.refuse(errors.New("not an access token of ours"))
	}
	o, err := i.openOrigin(c.JTI, c.Origin)
	if err != nil {
		return basis{}, "", l.refuse(err)
	}
	listed, err := i.listing.Inspect(ctx, c.JTI)
	switch {
	case errors.Is(err, revocation.ErrNotFound), errors.Is(err, revocation.ErrRevoked), err == nil && listed.Revoked:
		return basis{}, "", l.refuse(errors.New("its grant is gone"))
	case err != nil:
		return basis{}, "", l.refuseUnknown(err)
	}
	b, no := l.begun(o.basis(time.Unix(c.Expires, 0)))
	return b, c.JTI, no
}

// lookAtForeign is for a token of a trusted issuer. A grant that begins with it is bounded by what the client may have: of our
// audiences and scopes another issuer knows nothing.
func (i *Issuer) lookAtForeign(ctx context.Context, l look, raw, issuer string) (basis, *refusal) {
	t, ok := i.register.trustedFor(l.client, issuer)
	if !ok {
		return basis{}, l.refuse(errors.New("of an issuer that is not trusted for this client"))
	}
	a, err := t.Verify(ctx, raw, time.Now())
	switch {
	case errors.Is(err, verifier.ErrInvalid):
		return basis{}, l.refuse(err)
	case err != nil:
		return basis{}, l.refuseUnknown(err)
	}
	b := basis{subject: a.Subject, claims: a.Claims, until: a.Expires}
	if a.MayAct != nil {
		if b.mayAct, ok = i.nameOf(*a.MayAct); !ok {
			return basis{}, l.refuse(errors.New("its may_act names somebody of an unknown issuer"))
		}
	}
	return l.begun(b)
}

// nameOf is what somebody is called here whom a trusted issuer names.
func (i *Issuer) nameOf(a trust.Actor) (string, bool) {
	switch t, ok := i.register.trusted[a.Issuer]; {
	case a.Issuer == "" || a.Issuer == i.place.issuer:
		return a.Subject, true
	case ok:
		return t.Alias() + ":" + a.Subject, true
	}
	return "", false
}
