package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/revocation"
)

// refreshToken is RFC 6749 §6, rotated at each use (RFC 9700 §4.14.2). A family of refresh tokens is one record: begun with a
// grant, turned by each refresh, and ended by its expiry, by a revocation under any of its names, or by a replay.
//
// What the client is left with when something fails between its request and our answer:
//
//	before the turn            nothing was stored; its token can be used as before
//	in the turn, or after it   the same request is given the answer that was lost, for ten seconds
//
// for the turn puts the new grant and goes on to the next token in one step. Nothing is minted beforehand that could live on:
// of any number of requests with the same token one puts its grant, and what the others have signed is nowhere.
const refreshToken = "refresh_token"

// presentedRefresh is a refresh token that somebody has sent, and what its family was begun with.
type presentedRefresh struct {
	token  exchange.Refresh
	origin origin
	ends   time.Time // the record of the family
}

// grantRefresh finds out what a refresh token stands for. Whether it may still be used is only seen by the turn.
func (i *Issuer) grantRefresh(ctx context.Context, c *clients.Known, req tokenRequest, e *event) (basis, *refusal) {
	raw := req.form.one("refresh_token")
	if raw == "" {
		return basis{}, refuse(invalidRequest, "refresh_token is missing")
	}
	p, err := i.lookAtRefresh(ctx, raw)
	switch {
	case errors.Is(err, exchange.ErrUnavailable):
		return basis{}, unavailableNow("the store is not available", err)
	case err != nil:
		return basis{}, badRefresh(err)
	}
	e.rests = p.token.JTI()
	ends := time.Unix(p.origin.Begun, 0).Add(c.RefreshTTL) // the operator may have shortened it since
	if p.ends.Before(ends) {
		ends = p.ends
	}
	switch {
	case p.origin.Client != c.ID: // and it stays what it is
		return basis{}, badRefresh(errors.New("it was issued to another client"))
	case time.Until(ends) < time.Second:
		return basis{}, badRefresh(errors.New("its family has lived as long as it may"))
	}
	b := p.origin.basis(ends)
	b.depth, b.presented = p.origin.Depth, &p // it is no exchange
	return b, nil
}

// lookAtRefresh reads the family of a token. Errors are *exchange.Refusal, or say that the origin does not open.
func (i *Issuer) lookAtRefresh(ctx context.Context, raw string) (p presentedRefresh, err error) {
	var sealed string
	if p.token, err = i.families.Parse(raw); err == nil {
		sealed, p.ends, err = i.families.Look(ctx, p.token)
	}
	if err == nil {
		p.origin, err = i.openOrigin(p.token.JTI(), sealed)
	}
	return p, err
}

// badRefresh is one answer for every refresh token that is of no use to who has sent it.
func badRefresh(cause error) *refusal {
	return &refusal{outcome: invalidGrant, why: "refresh_token is not a live one of this client", detail: cause}
}

// wanted is what a request asks for. A refresh that names nothing asks for all of the first grant (RFC 6749 §6), as far as the
// client may still have it; for all else, that is for the client's configuration to say.
func (b basis) wanted(c *clients.Known, a ask) ask {
	if b.presented == nil || len(a.audiences)+len(a.resources)+len(a.scopes) > 0 {
		return a
	}
	for _, audience := range slices.Sorted(maps.Keys(b.within)) {
		if _, has := c.Audiences[audience]; has {
			a.audiences = append(a.audiences, audience)
		}
	}
	return a
}

// reference is where a grant of this basis can be stored.
func (i *Issuer) reference(b basis) exchange.Reference {
	if b.presented != nil {
		return i.families.Reference(b.presented.token)
	}
	return i.depositor.Reference()
}

// keptAnswer is an answer as the store keeps it, sealed, for the same request.
type keptAnswer struct {
	Answer  tokenAnswer `json:"answer"`
	Expires int64       `json:"expires"` // of the access token; Unix seconds
}

// turn uses the presented refresh token: for the grant, or for the answer that the same request had before. A token that was
// used otherwise ends its family: whoever holds the other one of the two, one of them has stolen it.
func (i *Issuer) turn(ctx context.Context, r exchange.Reference, d exchange.Deposit, g grant, a ask, e *event) (tokenAnswer, *refusal) {
	presented := g.basis.presented
	use := exchange.Use{Token: presented.token, Next: i.families.Next(presented.token)}
	answer := newTokenAnswer(r, g)
	answer.RefreshToken = use.Next.Reveal()
	var errs [2]error
	use.Ask, errs[0] = json.Marshal([]any{g.client.ID, a.audiences, a.resources, a.scopes})
	use.Answer, errs[1] = json.Marshal(keptAnswer{answer, g.expires.Unix()})
	if err := errors.Join(errs[:]...); err != nil {
		return tokenAnswer{}, i.undeposited(fmt.Errorf("issuer: encode answer: %w", err), g)
	}
	again, err := i.families.Turn(ctx, use, r, d)
	switch {
	case errors.Is(err, exchange.ErrReplayed):
		e.grant = nil
		return tokenAnswer{}, i.endReplayed(ctx, presented)
	case errors.Is(err, exchange.ErrInactive):
		e.grant = nil
		return tokenAnswer{}, badRefresh(err)
	case err != nil:
		return tokenAnswer{}, i.undeposited(err, g)
	case again == nil:
		return answer, nil
	}
	e.grant, e.done = nil, repeated
	var kept keptAnswer
	if err := json.Unmarshal(again, &kept); err != nil {
		return tokenAnswer{}, i.undeposited(errors.New("issuer: the answer that was kept cannot be read"), g)
	}
	kept.Answer.ExpiresIn = secondsUntil(time.Unix(kept.Expires, 0))
	return kept.Answer, nil
}

// endReplayed revokes everything that belongs to a family, the tokens that were exchanged from it included. The client may
// hang up, and is told that the token is no good only when that is so: until then it is a 503.
func (i *Issuer) endReplayed(ctx context.Context, p *presentedRefresh) *refusal {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	_, err := i.revoker.Revoke(ctx, revocation.Revocation{Kind: revocation.Family, Name: p.origin.Family, Until: keepUntil(p.ends)})
	if err != nil {
		return &refusal{outcome: notDurable, why: "this refresh token was used before, and its family is not revoked yet: ask again", detail: err, retry: retryUnavailable}
	}
	return &refusal{outcome: replayed, why: "refresh_token is not a live one of this client", detail: fmt.Errorf("it was used before: family %s is revoked", p.origin.Family)}
}

// beginFamily gives a refresh token with a grant, where the client is to have one; else it is empty. Who asks with
// client_credentials has a secret, and can ask again (RFC 6749 §4.4.3).
//
// What is derived from a grant of ours does not outlive it, in whatever form: of such a family no token lives longer, and
// one that would not outlive its first access token is not begun. A grant that begins with the word of another issuer is what
// refresh_ttl is for: so long the operator lets it count.
//
// The access token is stored already. If this fails, it is what is left of the two that lives shorter, and nobody has it.
func (i *Issuer) beginFamily(ctx context.Context, grantType string, g grant, h exchange.Handles) (string, error) {
	if i.families == nil || grantType == clientCredentials || !slices.Contains(g.client.GrantTypes, refreshToken) {
		return "", nil
	}
	ends := g.issuedAt.Add(g.client.RefreshTTL)
	if until := g.basis.until.Truncate(time.Second); g.basis.family != "" && until.Before(ends) {
		ends = until
	}
	if !ends.After(g.expires) {
		return "", nil
	}
	r := i.families.New()
	o := g.asOrigin(h.Family)
	o.Begun = g.issuedAt.Unix()
	sealed, err := i.sealOrigin(r.JTI(), o)
	if err != nil {
		return "", err
	}
	if len(sealed) > maxOrigin {
		return "", exchange.ErrTooLarge
	}
	err = i.families.Begin(ctx, r, exchange.Family{
		Origin: sealed, IssuedAt: g.issuedAt, ExpiresAt: ends, Handles: h, Since: g.since,
		MaxGrants: g.client.MaxGrants, MaxBytes: g.client.MaxBytes,
	})
	return r.Reveal(), err
}
