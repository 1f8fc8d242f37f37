package issuer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/revocation"
)

// What a name may be.
const (
	handleSize   = 22  // characters of base64url
	keyIDSize    = 43  // characters of base64url
	maxSubject   = 256 // bytes
	futureMoment = 2 * time.Second
)

// unknownLife is how long any token is taken to live while there is no ring to say how long others have let theirs.
const unknownLife = 30 * 24 * time.Hour

// names turns what operators say into what the revocation log says.
type names struct {
	ring    *keyring.Ring // nil: there is none, and what is named by a handle or a jti can be revoked all the same
	index   []indexKey    // the first names what is issued now, the others what may have been before
	longest time.Duration // life of anything that may be alive
	listing Listing
}

// names takes the ring as it is: a damaged one must not stop whoever has to revoke.
func (i *Issuer) names() names {
	r := i.keeper.Held()
	if r == nil {
		return names{nil, newIndexKeys(i.sealing), max(i.lasting(), unknownLife), i.listing}
	}
	return names{r, newIndexKeys(i.sealing), i.lasting(), i.listing}
}

// longest is the life of the longest-lived token that any issuer may have signed, as far as is known here.
func (i *Issuer) longest() time.Duration {
	if r := i.keeper.Held(); r != nil {
		return max(r.Life(), i.register.longest)
	}
	return i.register.longest
}

// lasting is for how long anything may live that is issued here: families of refresh tokens outlive tokens. One that was
// issued under an earlier configuration lives by the present one.
func (i *Issuer) lasting() time.Duration {
	return max(i.longest(), i.register.clients.LongestRefresh())
}

// handle is how what is issued now is named.
func (n names) handle(kind, value string) string { return n.index[0].handle(kind, value) }

// others are the names by which an order may also have to end something: a client and a subject have one for each
// sealing key that is accepted.
func (n names) others(o order, r revocation.Revocation) []revocation.Revocation {
	if o.by != "client" && o.by != "subject" {
		return nil
	}
	var also []revocation.Revocation
	for _, k := range n.index[1:] {
		r.Name = k.handle(o.by, o.value)
		also = append(also, r)
	}
	return also
}

// revocation is what an order asks to revoke. It is kept until nothing that it may name can be alive; what cannot be
// known of that, it is not asked for: a revocation does not wait for a look at what it ends.
func (n names) revocation(ctx context.Context, o order) (revocation.Revocation, *fault) {
	now := time.Now()
	r := revocation.Revocation{Name: o.value, Until: keepUntil(now.Add(n.longest))}
	var wrong *fault
	switch o.by {
	case "jti":
		r.Kind, wrong = revocation.Token, wantJTI(o.value)
	case "client":
		r.Kind = revocation.Client
		if wrong = wantClient(o.value); wrong == nil {
			r.Name = n.handle("client", o.value)
		}
	case "family":
		r.Kind = revocation.Family
		r.Name, wrong = n.family(ctx, o.value)
	case "subject":
		r.Kind = revocation.Subject
		if wrong = wantSubject(o.value); wrong == nil {
			r.Name = n.handle("subject", o.value)
		}
	case "subject_handle":
		r.Kind, wrong = revocation.Subject, wantHandle(o.by, o.value)
	case "issued_before":
		r.Kind = revocation.Before
		r.Name, wrong = moment(o.value, now)
	case "key":
		r.Kind, wrong = revocation.Key, n.wantKey(o.value, o.force)
	}
	return r, wrong
}

// family is the handle of a family, from itself or from the jti of one of its grants. A grant that is gone cannot be
// asked; a family begins with the grant whose jti it is named after, so that one is named without asking.
func (n names) family(ctx context.Context, value string) (string, *fault) {
	if !validJTI(value) {
		return value, wantHandle("family", value)
	}
	listed, err := n.listing.Inspect(ctx, value)
	switch {
	case err == nil:
		return listed.Family, nil
	case errors.Is(err, revocation.ErrNotFound), errors.Is(err, revocation.ErrRevoked):
		return n.handle("family", value), nil
	}
	return "", storeAway(err)
}

// moment reads a time. It is rounded up, as issue times are rounded down: who says 12:00:00.5 means everything that
// existed by then.
func moment(value string, now time.Time) (string, *fault) {
	at := now
	if value != "now" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, value); err != nil || at.Unix() < 0 {
			return "", wrongRequest("issued_before must be a time like %s, or now.", now.UTC().Format(time.RFC3339))
		}
		if at.After(now.Add(futureMoment)) {
			return "", wrongRequest("issued_before is in the future: it is %s by this issuer's clock. Say now for everything that exists.", now.UTC().Format(time.RFC3339))
		}
	}
	return strconv.FormatInt(at.Add(time.Second-time.Nanosecond).Unix(), 10), nil
}

func wantJTI(s string) *fault {
	if !validJTI(s) {
		return wrongRequest("A jti has 32 characters of 0-9 and a-f, as logs and JWTs show it. A reference does not belong here: `coatcheck token` derives its jti.")
	}
	return nil
}

func wantClient(s string) *fault {
	if !clients.ValidID(s) {
		return wrongRequest("client must be the id of a client: at most %d characters of printable ASCII without spaces.", clients.MaxID)
	}
	return nil
}

func wantSubject(s string) *fault {
	if len(s) > maxSubject || strings.ContainsFunc(s, unicode.IsControl) {
		return wrongRequest("subject must be one line of at most %d bytes, exactly as the JWT's sub.", maxSubject)
	}
	return nil
}

func wantHandle(member, s string) *fault {
	if !validName(s, handleSize) {
		return wrongRequest("%s must be a handle: %d characters of A-Z a-z 0-9 - _, as in the JWT's claim `handles`; a family may also be given by the jti of a grant in it.", member, handleSize)
	}
	return nil
}

// wantKey refuses a key id that is not in the ring, unless force: its revocation would be kept for ever, and a slip would
// leave the key that was meant in use. Without a ring there is nothing to hold it against.
func (n names) wantKey(id string, force bool) *fault {
	if !validName(id, keyIDSize) {
		return wrongRequest("key must be a key id: %d characters of A-Z a-z 0-9 - _, the kid in the JWT's header.", keyIDSize)
	}
	if n.ring == nil || force {
		return nil
	}
	if n.ring.Has(id) {
		return nil
	}
	var all []string
	for _, k := range n.ring.Keys() {
		all = append(all, fmt.Sprintf("%s (%s)", k.ID(), k.State()))
	}
	return &fault{code: "unknown_key", detail: "The key ring has no such key; it has " + strings.Join(all, ", ") + ". To revoke one that has left the ring, add force."}
}

// validName reports whether s has that many characters, all of base64url.
func validName(s string, size int) bool {
	return len(s) == size && !strings.ContainsFunc(s, func(c rune) bool {
		return ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && c != '-' && c != '_'
	})
}

// named reports whether a record is one of those that r ends.
func named(r revocation.Revocation, l revocation.Listed) bool {
	switch r.Kind {
	case revocation.Token:
		return l.JTI == r.Name
	case revocation.Family:
		return l.Family == r.Name
	case revocation.Client:
		return l.Client == r.Name
	case revocation.Subject:
		return l.Subject == r.Name
	case revocation.Key:
		return l.KeyID == r.Name
	}
	before, err := strconv.ParseInt(r.Name, 10, 64)
	return err == nil && r.Kind == revocation.Before && l.IssuedAt.Unix() < before
}
