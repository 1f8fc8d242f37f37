package issuer

import (
	"context"
	"fmt"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// tokenExchange is RFC 8693.
const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// The types of token that are exchanged (RFC 8693 §3): a reference is what this issuer calls an access token; a JWT is one
// of ours that a service has received, or a trusted issuer's.
const (
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	jwtType         = "urn:ietf:params:oauth:token-type:jwt"
)

// maxDepth bounds how often something is derived from something derived, and how many actors stand behind one another. Nothing
// real is deeper, and services that call each other in a circle stop there.
const maxDepth = 4

// exchangeRequest are the parameters of RFC 8693 §2.1 that no other grant has.
type exchangeRequest struct {
	subject, subjectType string
	actor, actorType     string // empty: nobody acts
}

func parseExchange(f form) (exchangeRequest, *refusal) {
	r := exchangeRequest{f.one("subject_token"), f.one("subject_token_type"), f.one("actor_token"), f.one("actor_token_type")}
	wanted := f.one("requested_token_type")
	switch {
	case r.subject == "" || r.subjectType == "":
		return r, refuse(invalidRequest, "subject_token and subject_token_type are both required")
	case (r.actor == "") != (r.actorType == ""):
		return r, refuse(invalidRequest, "actor_token and actor_token_type go together, or are both left out")
	case wanted != "" && wanted != accessTokenType:
		return r, refuse(invalidRequest, "requested_token_type can only be "+accessTokenType)
	}
	for _, t := range []string{r.subjectType, r.actorType} {
		if t != "" && t != accessTokenType && t != jwtType {
			return r, &refusal{outcome: invalidRequest, why: "a type of token that is not exchanged here", about: t}
		}
	}
	return r, nil
}

// grantExchange is token exchange: of a subject's token, and perhaps of the token of who acts for it, comes a grant that is
// nowhere more than the subject's.
func (i *Issuer) grantExchange(ctx context.Context, c *clients.Known, req tokenRequest, e *event) (basis, *refusal) {
	x, no := parseExchange(req.form)
	if no != nil {
		return basis{}, no
	}
	subject := look{client: c, references: c.Exchange.References, bad: invalidRequest, what: "subject_token"}
	b, jti, no := i.lookAt(ctx, subject, x.subject, x.subjectType)
	if no != nil {
		return basis{}, no
	}
	e.rests = jti
	if b.depth > maxDepth {
		return basis{}, refuse(invalidRequest, fmt.Sprintf("subject_token was itself exchanged %d times over: begin anew", maxDepth))
	}
	acting := clientSubject(c.ID)
	if x.actor != "" {
		if b, acting, no = i.delegate(ctx, c, x, b); no != nil {
			return basis{}, no
		}
	}
	if !b.allows(acting) {
		return basis{}, refuse(invalidRequest, "may_act of subject_token names somebody else")
	}
	b.issuedType = accessTokenType
	return b, nil
}
