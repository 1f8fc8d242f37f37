package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
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
	id      string // RFC 7638 thumbprint
	private hidden[*ecdsa.PrivateKey]
	state   State
	since   time.Time // when it came into its state, whole seconds
	until   time.Time // retired only: from then on nothing that it signed is alive
}

// Ring is one generation of the key ring: exactly one active key, exactly one next, any number of retired ones. It
// is immutable and shared; rotation makes another.
type Ring struct {
	generation uint64           // 1 at the beginning; one more with every change of what is below
	beginning  hidden[[32]byte] // random, the same in all generations
	life       time.Duration    // the longest that a token signed under this ring may live
	keys       []Key
	set        []byte    // the JWKS of exactly these keys
	quiet      time.Time // not turned before; only of a ring that was written back (Keeper.agree)
}

// newRing is the very first one. Its active key signs at once: there is no verifier yet that could have cached a
// set without it.
func newRing(now time.Time, life time.Duration) *Ring {
	return Ring{generation: 1, beginning: hide(newBeginning()), life: life}.with(newKey(active, now), newKey(next, now))
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

func newKey(s State, now time.Time) Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("keyring: P-256 key generation: " + err.Error())
	}
	return Key{id: thumbprint(&private.PublicKey), private: hide(private), state: s, since: now.Truncate(time.Second)}
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

// State is next, active or retired.
func (k *Key) State() State { return k.state }

// in finds the key in a state of which a ring has exactly one: next or active.
func (r *Ring) in(s State) *Key {
	n := slices.IndexFunc(r.keys, func(k Key) bool { return k.state == s })
	return &r.keys[n]
}

// sameBeginning: one was turned out of the other, in however many steps. Only turning hands on a beginning.
func (r *Ring) sameBeginning(o *Ring) bool {
	a, b := r.beginning(), o.beginning()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// sameKeys: all that a generation stands for is the same. A thumbprint stands for its private key.
func (r *Ring) sameKeys(o *Ring) bool {
	return r.life == o.life && slices.EqualFunc(r.keys, o.keys, func(a, b Key) bool {
		return a.id == b.id && a.state == b.state && a.since.Equal(b.since) && a.until.Equal(b.until)
	})
}

// public is what is published of a key.
func (k *Key) public() *ecdsa.PublicKey { return &k.private().PublicKey }

// byID finds a published key.
func (r *Ring) byID(id string) (*Key, bool) {
	n := slices.IndexFunc(r.keys, func(k Key) bool { return k.id == id })
	if n < 0 {
		return nil, false
	}
	return &r.keys[n], true
}

// ringName is the state's name in the store, and part of what a sealed ring is bound to.
const ringName = "key-ring"

// ringFormat guards against a program that would read a later form and write back less than it read.
const ringFormat = 1

// sealedRing is the plain text of the sealed state.
type sealedRing struct {
	Format     int         `json:"format"`
	Generation uint64      `json:"generation"`
	Beginning  []byte      `json:"index_key"` // its name from the time when handles were made with it
	Life       int64       `json:"life_seconds"`
	Keys       []sealedKey `json:"keys"`
	Quiet      int64       `json:"quiet_until,omitempty"`
}

type sealedKey struct {
	State State  `json:"state"`
	Since int64  `json:"since"`
	Until int64  `json:"until,omitempty"`
	PKCS8 []byte `json:"pkcs8"`
}

// seal makes what the store is to keep under that version.
func (r *Ring) seal(keys *sealing.Keys, version uint64) ([]byte, error) {
	beginning := r.beginning()
	out := sealedRing{Format: ringFormat, Generation: r.generation, Beginning: beginning[:], Life: int64(r.life / time.Second)}
	if !r.quiet.IsZero() {
		out.Quiet = r.quiet.Unix()
	}
	for _, k := range r.keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.private())
		if err != nil {
			return nil, fmt.Errorf("keyring: encode signing key %s: %w", k.id, err)
		}
		s := sealedKey{State: k.state, Since: k.since.Unix(), PKCS8: der}
		if k.state == retired {
			s.Until = k.until.Unix()
		}
		out.Keys = append(out.Keys, s)
	}
	plain, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("keyring: encode key ring: %w", err)
	}
	return keys.Seal(ringName, version, plain), nil
}

// openRing reads what the store keeps under that version.
func openRing(keys *sealing.Keys, version uint64, blob []byte) (*Ring, error) {
	plain, err := keys.Open(ringName, version, blob)
	if err != nil {
		return nil, err
	}
	var in sealedRing
	if err := json.Unmarshal(plain, &in); err != nil {
		return nil, fmt.Errorf("keyring: key ring: %w", err)
	}
	if in.Format != ringFormat || in.Generation == 0 || len(in.Beginning) != len(newBeginning()) {
		return nil, fmt.Errorf("keyring: key ring has format %d: it was written by another version of this program; run that one or a later one", in.Format)
	}
	r := Ring{generation: in.Generation, beginning: hide([32]byte(in.Beginning)), life: time.Duration(in.Life) * time.Second}
	if in.Quiet != 0 {
		r.quiet = time.Unix(in.Quiet, 0)
	}
	opened := make([]Key, 0, len(in.Keys))
	count := make(map[State]int)
	for _, s := range in.Keys {
		k, err := s.open()
		if err != nil {
			return nil, err
		}
		opened = append(opened, k)
		count[s.State]++
	}
	if count[active] != 1 || count[next] != 1 || count[active]+count[next]+count[retired] != len(opened) {
		return nil, errors.New("keyring: key ring has not exactly one active and one next key")
	}
	return r.with(opened...), nil
}

func (s sealedKey) open() (Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(s.PKCS8)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return Key{}, errors.New("keyring: key ring holds something that is not a P-256 key")
	}
	k := Key{id: thumbprint(&private.PublicKey), private: hide(private), state: s.State, since: time.Unix(s.Since, 0)}
	if s.State == retired {
		k.until = time.Unix(s.Until, 0)
	}
	return k, nil
}

// hidden holds what must not be seen. It is a function: fmt prints its address, encoding/json refuses it, == does not
// compile, and the only way out is to call it.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
