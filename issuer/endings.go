package issuer

import (
	"strconv"
	"sync/atomic"
	"time"
)

// endings remember which tokens this process has revoked, so that a dead one that is presented again and again is one entry
// of the journal and not one for each time. It is a table of fixed size: each token has one place, which the last one takes,
// and what was displaced is merely revoked once more.
//
// It may be believed because only what Revoke has returned success for is in it: that is in the journal of this process,
// and a store that comes back from the past is not read before it has heard of it.
type endings [4096]atomic.Pointer[ending]

type ending struct {
	jti   string
	until time.Time // so long the revocation is kept
}

func (e *endings) remember(jti string, until time.Time) { e.place(jti).Store(&ending{jti, until}) }

// covers reports whether a revocation of jti that is kept until then would say nothing new.
func (e *endings) covers(jti string, until time.Time) bool {
	p := e.place(jti).Load()
	return p != nil && p.jti == jti && !until.After(p.until)
}

// place is told by the first three of the 32 hex characters of a jti, which nobody can choose.
func (e *endings) place(jti string) *atomic.Pointer[ending] {
	n, _ := strconv.ParseUint(jti[:3], 16, 16) // a jti is hex: validJTI, or derived from a reference
	return &e[n]
}
