package issuer

import (
	"context"
	"errors"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
)

// jwtBearer is RFC 7523 §2.1: a token of a trusted issuer, as an authorization grant. The client authenticates all the same:
// an assertion says for whom, and not who asks.
//
// An assertion may be used again until it ends, as RFC 7523 §3 leaves it to us: what a company's identity provider gives out
// is an access token, which its holder may well bring more than once, and it gives to each only what the client may have.
const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func (i *Issuer) grantAssertion(ctx context.Context, c *clients.Known, req tokenRequest, _ *event) (basis, *refusal) {
	raw := req.form.one("assertion")
	if raw == "" {
		return basis{}, refuse(invalidRequest, "assertion is missing")
	}
	l := look{client: c, bad: invalidGrant, what: "assertion"}
	b, no := i.lookAtForeign(ctx, l, raw, trust.Say(raw).Issuer)
	if no == nil && !b.allows(clientSubject(c.ID)) {
		no = l.refuse(errors.New("its may_act names somebody else"))
	}
	return b, no
}
