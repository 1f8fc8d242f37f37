package keyring

import (
	"crypto"
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"
)

// State is where a signing key is in its life: next, active, retired; then it is gone.
type State string

const (
	next    State = "next"    // published, signs nothing yet
	active  State = "active"  // signs
	retired State = "retired" // published until the last token that it signed has died
)

// Key is one key of a ring; immutable. It cannot be printed or marshalled.
type Key struct {
	id        string // RFC 7638 thumbprint
	algorithm string
	public    crypto.PublicKey
	private   hidden[crypto.Signer] // nil: it is not here; a retired key needs none
	outside   bool                  // it lives elsewhere: the ring keeps its public half alone (outside.go)
	state     State
	since     time.Time // when it came into its state, whole seconds
	until     time.Time // retired only: from then on nothing that it signed is alive
}

// Ring is one generation of the key ring: exactly one active key, one next (none only while keys live outside), any
// number of retired ones. It is immutable and shared; rotation makes another.
type Ring struct {
	generation uint64           // 1 at the beginning; one more with every change of what is below
	beginning  hidden[[32]byte] // random, the same in all generations
	life       time.Duration    // the longest that a token signed under this ring may live
	keys       []Key
	gone       []string  // ids of outside keys that have left the ring: they never come back
	set        []byte    // the JWKS of exactly these keys
	quiet      time.Time // not turned before; only of a ring that was written back (Keeper.agree)
}

// newRing is the very first one. Its active key signs at once: there is no verifier yet that could have cached a
// set without it.
func newRing(now time.Time, p plan) (*Ring, error) {
	first := Ring{generation: 1, beginning: hide(newBeginning()), life: p.life}
	if !p.outside {
		return first.with(p.generated(active, now), p.generated(next, now)), nil
	}
	usable := p.usable(&first)
	if len(usable) == 0 {
		return nil, errNoneListed
	}
	keys := []Key{usable[0].in(active, now)}
	if len(usable) > 1 {
		keys = append(keys, usable[1].in(next, now))
	}
	return first.with(keys...), nil
}

// with completes a ring from its keys.
func (r Ring) with(keys ...Key) *Ring {
	r.keys = keys
	r.set = newKeySet(keys)
	return &r
}

func newBeginning() (b [32]byte) {
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return b
}

// in is the key from now on in another state. Who retires gives up his private half: nobody can bring it back.
func (k Key) in(s State, now time.Time) Key {
	k.state, k.since = s, now.Truncate(time.Second)
	if s == retired {
		k.private = nil
	}
	return k
}

// Active is the key that signs.
func (r *Ring) Active() *Key { return r.in(active) }

// Life is the longest that a token signed under this ring, by whichever process, may live.
func (r *Ring) Life() time.Duration { return r.life }

// Keys are all that are published.
func (r *Ring) Keys() []Key { return slices.Clone(r.keys) }

// Has reports whether a key of that id is published.
func (r *Ring) Has(id string) bool {
	_, there := r.byID(id)
	return there
}

// ID is the key's RFC 7638 thumbprint: the kid of what it signs.
func (k *Key) ID() string { return k.id }

// Algorithm is what it signs with: ES256, EdDSA, RS256 or PS256.
func (k *Key) Algorithm() string { return k.algorithm }

// State is next, active or retired.
func (k *Key) State() State { return k.state }

// in finds the key in a state of which a ring has one at most: next or active; nil: there is none.
func (r *Ring) in(s State) *Key {
	n := slices.IndexFunc(r.keys, func(k Key) bool { return k.state == s })
	if n < 0 {
		return nil
	}
	return &r.keys[n]
}

// sameBeginning: one was turned out of the other, in however many steps. Only turning hands on a beginning.
func (r *Ring) sameBeginning(o *Ring) bool {
	a, b := r.beginning(), o.beginning()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// sameKeys: all that a generation stands for is the same. A thumbprint stands for its private key.
func (r *Ring) sameKeys(o *Ring) bool {
	return r.life == o.life && slices.Equal(r.gone, o.gone) && slices.EqualFunc(r.keys, o.keys, func(a, b Key) bool {
		return a.id == b.id && a.state == b.state && a.since.Equal(b.since) && a.until.Equal(b.until)
	})
}

// byID finds a published key.
func (r *Ring) byID(id string) (*Key, bool) {
	n := slices.IndexFunc(r.keys, func(k Key) bool { return k.id == id })
	if n < 0 {
		return nil, false
	}
	return &r.keys[n], true
}

// hidden holds what must not be seen. It is a function: fmt prints its address, encoding/json refuses it, == does not
// compile, and the only way out is to call it.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
