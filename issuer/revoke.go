package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
)

// Revoker is what the issuer needs of revocation.Revoker. It is an interface because tests must show one that cannot.
type Revoker interface {
	// Revoke ends what rs name, all of it, or fails; after nil no edge uses it any more. It takes a lease and some
	// milliseconds, whether anything was alive or not; it is bounded by ctx, and safe for concurrent use.
	Revoke(ctx context.Context, rs ...revocation.Revocation) (revocation.Receipt, error)
	// Pretend takes as long as Revoke and does nothing.
	Pretend(ctx context.Context) error
}

// Grants is how the issuer looks at a presented reference: exchange.Exchange is one. It is an interface because tests must
// show one that cannot tell. Errors are *exchange.Refusal; it is bounded by ctx, and safe for concurrent use.
type Grants interface {
	Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error)
}

const (
	// revokeTimeout bounds a revocation: the longest lease, what the store may take, and the look at the token. It ends
	// before the server gives the answer up (60 s), so that there always is one.
	revokeTimeout = 50 * time.Second

	// lookTime is how long the look at a token takes, whatever the token: what is done sooner waits. A string that is no
	// reference is known at once, an unknown one after a round trip, a live one after its manifest has been verified as
	// well; with the wait all three come to Revoke or Pretend at the same moment, and those take the same time.
	lookTime = 10 * time.Millisecond

	// keepLonger is how much longer than the token a revocation is kept, for clocks that differ and for services that
	// are lenient about exp.
	keepLonger = 2 * time.Minute
)

// revokeRequest is a request to the revocation endpoint. token_type_hint is not in it: what a token is can be seen from
// the token, so no hint can narrow the search, and a wrong or unknown one changes nothing (RFC 7009 §2.1, §2.2).
type revokeRequest struct {
	credentials credentials
	token       hidden[string] // nil: none was sent
}

// serveRevoke answers one request (RFC 7009). The client may hang up: what it asked for is done all the same.
func (i *Issuer) serveRevoke(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	ctx, span := i.tracer.Start(ctx, i.revocations.span)
	defer span.End()

	e := newEvent(r)
	req, no := parseRevokeRequest(w, r)
	if no == nil {
		no = i.revoke(ctx, req, &e)
	}
	e.refused = no
	if no = i.report(ctx, i.revocations, span, e); no != nil {
		no.write(w)
		return
	}
	keepNothing(w.Header())
	w.WriteHeader(http.StatusOK) // and nothing else: §2.2
}

func parseRevokeRequest(w http.ResponseWriter, r *http.Request) (revokeRequest, *refusal) {
	f, no := readForm(w, r)
	if no != nil {
		return revokeRequest{}, no
	}
	c, no := readCredentials(r.Header, f)
	if no != nil {
		return revokeRequest{}, no
	}
	req := revokeRequest{credentials: c}
	if raw := f.one("token"); raw != "" {
		req.token = hide(raw)
	}
	return req, nil
}

// revoke authenticates, measures, looks at the token and ends it, in this order: a token says nothing about itself to
// who has not said who he is.
func (i *Issuer) revoke(ctx context.Context, req revokeRequest, e *event) *refusal {
	c, no := i.authenticate(ctx, req.credentials, e)
	if no != nil {
		return no
	}
	if c.Public {
		// It holds no token that it could give back, and anybody can say that he is it.
		return stranger("the client is public")
	}
	leave, no := i.measures.enter(c.ID, time.Now())
	if no != nil {
		return no
	}
	defer leave()
	if req.token == nil {
		return refuse(invalidRequest, "token is missing")
	}
	looked := time.NewTimer(lookTime)
	defer looked.Stop()
	p, no := i.present(ctx, req.token())
	if no != nil {
		return no
	}
	e.jti = p.jti
	if p.client != "" && p.client != c.ID {
		return refuse(anotherClients, "the token was issued to another client")
	}
	select {
	case <-looked.C:
	case <-ctx.Done():
	}
	return i.end(ctx, p, e)
}

// end revokes what was presented, or pretends to. A 200 is never said before either has. What the store has for alive is
// always revoked, whatever is remembered of it.
func (i *Issuer) end(ctx context.Context, p presented, e *event) *refusal {
	var err error
	until := keepUntil(p.expires)
	if p.jti == "" || !p.alive && i.endings.covers(p.jti, until) {
		e.done, err = nothingToRevoke, i.revoker.Pretend(ctx)
	} else {
		e.done = revoked
		_, err = i.revoker.Revoke(ctx, p.revocations()...)
		if err == nil {
			i.endings.remember(p.jti, until)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, revocation.ErrNotDurable):
		return &refusal{outcome: notDurable, why: "not in force yet: take the token for alive, and ask again", detail: err, retry: retryUnavailable}
	}
	return unavailableNow("the token cannot be revoked now: take it for alive, and ask again", err)
}

// revocations are what ends with it, in one entry each of the journal.
func (p presented) revocations() []revocation.Revocation {
	rs := []revocation.Revocation{{Kind: revocation.Token, Name: p.jti, Until: keepUntil(p.expires)}}
	if p.family != "" {
		rs = append(rs, revocation.Revocation{Kind: revocation.Family, Name: p.family, Until: keepUntil(p.last)})
	}
	return rs
}

// keepUntil is when a revocation may be forgotten that names nothing which lives beyond expires.
func keepUntil(expires time.Time) time.Time { return expires.Add(keepLonger).Truncate(time.Second) }
