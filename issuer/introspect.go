package issuer

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// introspectTimeout bounds a request from its first byte of work to its answer.
const introspectTimeout = 5 * time.Second

// introspectRequest is a request to the introspection endpoint. token_type_hint is not in it: what a token is can be seen
// from the token (RFC 7662 §2.1).
type introspectRequest struct {
	credentials credentials
	token       hidden[string] // nil: none was sent
	audiences   []string       // by name: as which of the services that it is the caller asks
	resources   []string       // the same, by RFC 8707 URI
	as          representation
}

// serveIntrospect answers one request (RFC 7662, RFC 9701): parse, decide, write once.
func (i *Issuer) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), introspectTimeout)
	defer cancel()
	ctx, span := i.tracer.Start(ctx, i.introspections.span)
	defer span.End()

	e := newEvent(r)
	var answer introspection
	req, no := parseIntrospectRequest(w, r)
	if no == nil {
		answer, no = i.introspect(ctx, req, &e)
	}
	e.refused = no
	no = i.report(ctx, i.introspections, span, e)
	w.Header().Add("Vary", "Accept")
	if no != nil {
		no.write(w)
		return
	}
	answer.write(w)
}

func parseIntrospectRequest(w http.ResponseWriter, r *http.Request) (introspectRequest, *refusal) {
	as, no := negotiate(r.Header)
	if no != nil {
		return introspectRequest{}, no
	}
	f, no := readForm(w, r)
	if no != nil {
		return introspectRequest{}, no
	}
	c, no := readCredentials(r.Header, f)
	if no != nil {
		return introspectRequest{}, no
	}
	req := introspectRequest{credentials: c, audiences: f["audience"], resources: f["resource"], as: as}
	if raw := f.one("token"); raw != "" {
		req.token = hide(raw)
	}
	return req, nil
}

// introspect authenticates, finds out what the caller may be told about, looks at the token and puts the answer into the
// form that was asked for, in this order: to who has not said who he is a token says nothing, and one that is not for him
// is not active.
func (i *Issuer) introspect(ctx context.Context, req introspectRequest, e *event) (introspection, *refusal) {
	c, no := i.authenticate(ctx, req.credentials, e)
	if no != nil {
		return introspection{}, no
	}
	among, no := i.askable(c, req)
	if no != nil {
		return introspection{}, no
	}
	if req.token == nil {
		return introspection{}, refuse(invalidRequest, "token is missing")
	}
	s, no := i.look(ctx, req.token(), among)
	if no != nil {
		return introspection{}, no
	}
	e.done, e.jti = tokenInactive, s.jti
	if s.active() {
		e.done = tokenActive
	}
	return i.introspection(s, c, req.as, time.Now())
}

// askable are the audiences about whose tokens a client may ask: those that it serves, or those of them that it names.
func (i *Issuer) askable(c *clients.Known, req introspectRequest) ([]string, *refusal) {
	switch {
	case c.Public:
		return nil, stranger("the client is public") // anybody can say that he is it
	case len(c.Serves) == 0:
		return nil, refuse(servesNothing, "this client is the service of no audience, so that no token is for it")
	case len(req.audiences)+len(req.resources) == 0:
		return c.Serves, nil
	}
	named := slices.Clone(req.audiences)
	for _, uri := range req.resources {
		named = append(named, i.register.resources[uri]) // empty: unknown, and nobody serves that
	}
	for _, audience := range named {
		if !slices.Contains(c.Serves, audience) {
			return nil, refuse(invalidTarget, "an audience or a resource is unknown, or this client does not serve it")
		}
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}
