package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/routes"
)

// decide says whether a request goes upstream, and with whose JWT: steps 7 and 8. nil is yes; then v.share is the
// JWT's, or the route is public. Everything that is not yes is no. It allocates nothing when it says yes.
func (e *Edge) decide(ctx context.Context, v *visit) *refusal {
	route, result := e.table.Match(v.target.method, v.target.host, v.target.path)
	switch result {
	case routes.Found:
	case routes.MethodNotAllowed:
		return &refusal{code: codeMethod, allow: e.methods(v.target)}
	default:
		return &refusal{code: codeNoRoute}
	}
	v.route, v.service = route, e.services[route.Upstream]
	switch {
	case v.presented.malformed: // on public routes too: nothing is forwarded that two servers may read differently
		return &refusal{code: codeAuthorization}
	case v.lastHop:
		return nil
	case route.Public:
		v.presented = presented{}
		return nil
	case v.presented.raw == "":
		return &refusal{code: codeNoCredentials}
	}
	return e.swap(ctx, v)
}

// swap finds the grant and asks it for this route. The grant may come from a cache, the questions to it are asked
// anew each time: an answer for one route never serves another. Its yes is not the decision, which the gate takes.
func (e *Edge) swap(ctx context.Context, v *visit) *refusal {
	began := time.Now()
	pass, source, err := e.swapper.Swap(ctx, v.presented.raw, exchange.Freshness(v.route.Strict))
	now := time.Now()
	v.presented = presented{} // what is still needed of it is in the pass, which does not print it
	v.source, v.swapTook = source, now.Sub(began)
	if err != nil {
		return e.refuseSwap(ctx, v, err)
	}
	grant := v.gate.keep(pass)
	v.grant = grant
	if !now.Before(grant.ExpiresAt()) {
		return e.inactive(v, exchange.ReasonExpired, nil)
	}
	share, ok := grant.Share(v.route.Audience)
	if !ok {
		return &refusal{code: codeScope, reason: reasonAudience, scopes: v.route.Scopes}
	}
	if !share.Allows(v.route.Scopes) {
		return &refusal{code: codeScope, scopes: v.route.Scopes}
	}
	if !e.perClient.allow(grant.ClientID(), now) {
		return &refusal{code: codeClientRate}
	}
	v.share = share
	return nil
}

// refuseSwap tells "not a live reference" from "cannot tell", which is everything else: a 401 makes clients throw good
// references away and storm the issuer.
func (e *Edge) refuseSwap(ctx context.Context, v *visit, err error) *refusal {
	reason := exchange.Reason(codeUndecided.problem().name)
	if r, ok := errors.AsType[*exchange.Refusal](err); ok {
		reason = r.Reason
	}
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		return &refusal{code: codeClientGone}
	case errors.Is(err, exchange.ErrUnavailable), !errors.Is(err, exchange.ErrInactive):
		return &refusal{code: codeUndecided, reason: string(reason), err: err}
	}
	return e.inactive(v, reason, err)
}

// inactive is the one 401 for every token that is not a live reference, whatever is wrong with it. An address that
// presents many which nobody issued gets 429 instead. One that was issued always gets its 401: clients renew on it, and
// those who share an address with a forger would stay without. A live reference from there is not delayed either.
func (e *Edge) inactive(v *visit, reason exchange.Reason, err error) *refusal {
	invented := reason == exchange.ReasonMalformed || reason == exchange.ReasonForged
	if invented && !e.badRefs.allow(network(v.caller.addr), time.Now()) {
		return &refusal{code: codeBadReferences, err: err}
	}
	return &refusal{code: codeInvalidToken, reason: string(reason), err: err}
}

// exposeDecision shows a developer what the edge has decided. jti and names only, but an outsider would learn from
// them which routes share an audience.
func (v *visit) exposeDecision(h http.Header) {
	name, audience, jti := "none", "none", "none"
	if v.route != nil {
		name = v.route.Name
		if !v.route.Public {
			audience = v.route.Audience
		}
	}
	if v.grant != nil {
		jti = v.grant.JTI()
	}
	text := "route=" + name + "; audience=" + audience + "; cache=" + string(v.source) + "; jti=" + jti
	if v.gate.open.Load() {
		text += "; decided_ns=" + strconv.FormatInt(v.gate.moment.Load(), 10)
	}
	h.Set("Coatcheck-Decision", text)
}
