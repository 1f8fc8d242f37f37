package issuer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/envelope"
)

// issueTimeout bounds a request from its first byte of work to its answer.
const issueTimeout = 5 * time.Second

// tokenRequest is a request to the token endpoint, parsed once; nothing after it looks at the HTTP request.
type tokenRequest struct {
	credentials credentials
	grantType   string
	ask         ask
	form        form // for what one grant type alone reads
}

// tokenAnswer is RFC 6749 §5.1. scope is always said: the client need not know what it would have been.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	IssuedType   string `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1: of token exchange alone
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds, rounded down
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// serveToken answers one request: parse, decide, write once. How far this process has read the revocation log is
// noted before anything else: whatever is revoked from then on, the client while it authenticates included, refuses the
// deposit.
func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	since := i.depositor.Since()
	ctx, cancel := context.WithTimeout(r.Context(), issueTimeout)
	defer cancel()
	ctx, span := i.tracer.Start(ctx, i.tokens.span)
	defer span.End()

	e := newEvent(r)
	e.done = issued
	var answer tokenAnswer
	req, no := parseTokenRequest(w, r)
	if no == nil {
		answer, no = i.issue(ctx, since, req, &e)
	}
	e.refused = no
	if no = i.report(ctx, i.tokens, span, e); no != nil {
		no.write(w)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func parseTokenRequest(w http.ResponseWriter, r *http.Request) (tokenRequest, *refusal) {
	f, no := readForm(w, r)
	if no != nil {
		return tokenRequest{}, no
	}
	c, no := readCredentials(r.Header, f)
	if no != nil {
		return tokenRequest{}, no
	}
	scopes, no := parseScope(f.one("scope"))
	if no != nil {
		return tokenRequest{}, no
	}
	return tokenRequest{c, f.one("grant_type"), ask{f["audience"], f["resource"], scopes}, f}, nil
}

// issue authenticates, finds what the grant rests on, decides, mints and stores, in this order: who may not ask learns
// nothing about what there is to get. The event gathers what the log may say, as it becomes known.
func (i *Issuer) issue(ctx context.Context, since exchange.Since, req tokenRequest, e *event) (tokenAnswer, *refusal) {
	c, no := i.authenticate(ctx, req.credentials, e)
	if no != nil {
		return tokenAnswer{}, no
	}
	grants, no := i.granter(c, req.grantType)
	if no != nil {
		return tokenAnswer{}, no
	}
	e.grantType = req.grantType
	if no = i.trail.ready(); no != nil {
		return tokenAnswer{}, no
	}
	b, no := grants(ctx, c, req, e)
	if no != nil {
		return tokenAnswer{}, no
	}
	wanted := b.wanted(c, req.ask)
	shares, no := i.register.decide(c, wanted)
	if no == nil {
		shares, no = b.clip(shares, wanted)
	}
	if no != nil {
		return tokenAnswer{}, no
	}
	r, err := i.keeper.Current()
	if err != nil {
		return tokenAnswer{}, unavailableNow("signing keys are not available", err)
	}
	reference := i.reference(b)
	now := time.Now()
	g := grant{client: c, basis: b, shares: shares, jti: reference.JTI(), issuedAt: now.Truncate(time.Second), since: since}
	g.expires = b.expires(g.issuedAt, c.TTL)
	e.grant, e.keyID = &g, r.Active().ID()
	d, err := i.mint(ctx, r, g)
	if err != nil {
		return tokenAnswer{}, i.undeposited(err, g)
	}
	if b.presented != nil {
		return i.turn(ctx, reference, d, g, req.ask, e)
	}
	if err := i.depositor.Deposit(ctx, reference, d); err != nil {
		return tokenAnswer{}, i.undeposited(err, g)
	}
	answer := newTokenAnswer(reference, g)
	if answer.RefreshToken, err = i.beginFamily(ctx, req.grantType, g, d.Handles); err != nil {
		return tokenAnswer{}, i.undeposited(err, g)
	}
	return answer, nil
}

func newTokenAnswer(r exchange.Reference, g grant) tokenAnswer {
	return tokenAnswer{
		AccessToken: r.Reveal(), IssuedType: g.basis.issuedType, TokenType: "Bearer", ExpiresIn: secondsUntil(g.expires), Scope: g.scope(),
	}
}

// secondsUntil is rounded down.
func secondsUntil(t time.Time) int64 { return int64(max(0, time.Until(t)) / time.Second) }

// authenticate finds who asks, and lets the event say so when it is a client of ours that somebody claims to be. A client
// that has reached its measure is told so before anything is compared or looked up for it.
func (i *Issuer) authenticate(ctx context.Context, c credentials, e *event) (*clients.Known, *refusal) {
	if known := i.register.clients.Lookup(c.id); known != nil {
		e.client, e.added = known.ID, known.Added
	}
	if no := i.limits.ask(i.register.clients.Lookup(c.id), e.address, time.Now()); no != nil {
		return nil, no
	}
	known, no := i.clients.authenticate(ctx, c, e.address)
	if e.proved = no == nil; no == nil {
		no = i.limits.enter(known, e.address, time.Now())
	}
	return known, no
}

// undeposited is why a grant was not made or not stored; nearly always the service's and not the client's doing.
func (i *Issuer) undeposited(err error, g grant) *refusal {
	switch {
	case errors.Is(err, exchange.ErrQuota):
		// The store frees places in buckets of a 16th of a grant's life at most; half of that is worth a try.
		return &refusal{outcome: quotaReached, why: "this client has as many live tokens as it may have", retry: max(time.Second, g.client.TTL/32)}
	case errors.Is(err, exchange.ErrRevoked):
		// It may be the signing key that was revoked, and this process the last to hear of it.
		i.keeper.LookSoon()
		return unavailableNow("something was revoked while this token was made: try again", err)
	case errors.Is(err, exchange.ErrUnavailable):
		return unavailableNow("the store is not available", err)
	case errors.Is(err, envelope.ErrNoKey):
		return unavailableNow("the key that a service wants its tokens encrypted to is not available", err)
	case errors.Is(err, exchange.ErrTooLarge):
		return &refusal{outcome: invalidTarget, why: "too many audiences at once: ask for fewer", detail: err}
	}
	return &refusal{outcome: internalTrouble, why: "the token could not be made; the operator's log says why", detail: err}
}

// scope is the scope of the whole grant, over all audiences; a scope has one owner, so none is there twice.
func (g grant) scope() string {
	var all []string
	for _, s := range g.shares {
		all = append(all, s.scopes...)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
