package issuer

import (
	"context"
	"slices"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// actor is who acts for a subject, and for whom he does it in turn (RFC 8693 §4.1). Only the first of them counts: those
// behind him say how it came about, and allow nothing.
type actor struct {
	Subject string `json:"sub"`
	Act     *actor `json:"act,omitempty"`
}

func (a *actor) depth() (n int) {
	for ; a != nil; a = a.Act {
		n++
	}
	return n
}

// allows: who is named in may_act acts for the subject, and nobody else (RFC 8693 §4.4). Where no actor's token is sent it is the
// client itself that acts.
func (b basis) allows(acting string) bool { return b.mayAct == "" || b.mayAct == acting }

// delegate puts the actor of a request before those that the subject's token has already. What he is given ends with his own
// token too. It also says who he is.
func (i *Issuer) delegate(ctx context.Context, c *clients.Known, x exchangeRequest, b basis) (basis, string, *refusal) {
	if !c.Exchange.Actors {
		return basis{}, "", refuse(invalidRequest, "this client may not send an actor_token")
	}
	own := append(slices.Clone(c.Exchange.References), c.ID)
	a, _, no := i.lookAt(ctx, look{client: c, references: own, bad: invalidRequest, what: "actor_token"}, x.actor, x.actorType)
	switch {
	case no != nil:
		return basis{}, "", no
	case a.act != nil:
		// Who acts for another is not that other: nobody could say which of the two it is that acts here.
		return basis{}, "", refuse(invalidRequest, "actor_token is itself of somebody who acts for another")
	case b.act.depth() >= maxDepth:
		return basis{}, "", refuse(invalidRequest, "subject_token has as many actors as there may be")
	}
	b.act = &actor{a.subject, b.act}
	if a.until.Before(b.until) {
		b.until = a.until
	}
	return b, a.subject, nil
}
