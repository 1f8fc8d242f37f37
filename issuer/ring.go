package issuer

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
)

// keyState is where a signing key is in its life: next, active, retired; then it is gone.
type keyState string

const (
	next    keyState = "next"    // published, signs nothing yet
	active  keyState = "active"  // signs
	retired keyState = "retired" // published until the last token that it signed has died
)

// signingKey is one key of a ring.
type signingKey struct {
	id      string // RFC 7638 thumbprint
	private hidden[*ecdsa.PrivateKey]
	state   keyState
	since   time.Time // when it came into its state, whole seconds
	until   time.Time // retired only: from then on nothing that it signed is alive
}

// ring is one generation of the key ring: exactly one active key, exactly one next, any number of retired ones. It
// is immutable and shared; rotation makes another.
type ring struct {
	generation uint64           // 1 at the beginning; one more with every change of what is below
	beginning  hidden[[32]byte] // random, the same in all generations
	life       time.Duration    // the longest that a token signed under this ring may live
	keys       []signingKey
	set        *document // the JWKS of exactly these keys
	quiet      time.Time // not turned before; only of a ring that was written back (keeper.agree)
}

// newRing is the very first one. Its active key signs at once: there is no verifier yet that could have cached a
// set without it.
func newRing(now time.Time, life time.Duration) *ring {
	return ring{generation: 1, beginning: hide(newBeginning()), life: life}.with(newSigningKey(active, now), newSigningKey(next, now))
}

// with completes a ring from its keys.
func (r ring) with(keys ...signingKey) *ring {
	r.keys = keys
	r.set = newKeySet(keys)
	return &r
}

func newBeginning() (b [32]byte) {
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return b
}

func newSigningKey(s keyState, now time.Time) signingKey {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("issuer: P-256 key generation: " + err.Error())
	}
	return signingKey{id: thumbprint(&private.PublicKey), private: hide(private), state: s, since: now.Truncate(time.Second)}
}

// in finds the key in a state of which a ring has exactly one: next or active.
func (r *ring) in(s keyState) *signingKey {
	n := slices.IndexFunc(r.keys, func(k signingKey) bool { return k.state == s })
	return &r.keys[n]
}

// sameBeginning: one was turned out of the other, in however many steps. Only turning hands on a beginning.
func (r *ring) sameBeginning(o *ring) bool {
	a, b := r.beginning(), o.beginning()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// sameKeys: all that a generation stands for is the same. A thumbprint stands for its private key.
func (r *ring) sameKeys(o *ring) bool {
	return r.life == o.life && slices.EqualFunc(r.keys, o.keys, func(a, b signingKey) bool {
		return a.id == b.id && a.state == b.state && a.since.Equal(b.since) && a.until.Equal(b.until)
	})
}

// public is what is published of a key.
func (k *signingKey) public() *ecdsa.PublicKey { return &k.private().PublicKey }

// byID finds a published key.
func (r *ring) byID(id string) (*signingKey, bool) {
	n := slices.IndexFunc(r.keys, func(k signingKey) bool { return k.id == id })
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
	State keyState `json:"state"`
	Since int64    `json:"since"`
	Until int64    `json:"until,omitempty"`
	PKCS8 []byte   `json:"pkcs8"`
}

// seal makes what the store is to keep under that version.
func (r *ring) seal(keys *SealingKeys, version uint64) ([]byte, error) {
	beginning := r.beginning()
	out := sealedRing{Format: ringFormat, Generation: r.generation, Beginning: beginning[:], Life: int64(r.life / time.Second)}
	if !r.quiet.IsZero() {
		out.Quiet = r.quiet.Unix()
	}
	for _, k := range r.keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.private())
		if err != nil {
			return nil, fmt.Errorf("issuer: encode signing key %s: %w", k.id, err)
		}
		s := sealedKey{State: k.state, Since: k.since.Unix(), PKCS8: der}
		if k.state == retired {
			s.Until = k.until.Unix()
		}
		out.Keys = append(out.Keys, s)
	}
	plain, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("issuer: encode key ring: %w", err)
	}
	return keys.seal(ringName, version, plain), nil
}

// openRing reads what the store keeps under that version.
func openRing(keys *SealingKeys, version uint64, blob []byte) (*ring, error) {
	plain, err := keys.open(ringName, version, blob)
	if err != nil {
		return nil, err
	}
	var in sealedRing
	if err := json.Unmarshal(plain, &in); err != nil {
		return nil, fmt.Errorf("issuer: key ring: %w", err)
	}
	if in.Format != ringFormat || in.Generation == 0 || len(in.Beginning) != len(newBeginning()) {
		return nil, fmt.Errorf("issuer: key ring has format %d: it was written by another version of this program; run that one or a later one", in.Format)
	}
	r := ring{generation: in.Generation, beginning: hide([32]byte(in.Beginning)), life: time.Duration(in.Life) * time.Second}
	if in.Quiet != 0 {
		r.quiet = time.Unix(in.Quiet, 0)
	}
	opened := make([]signingKey, 0, len(in.Keys))
	count := make(map[keyState]int)
	for _, s := range in.Keys {
		k, err := s.open()
		if err != nil {
			return nil, err
		}
		opened = append(opened, k)
		count[s.State]++
	}
	if count[active] != 1 || count[next] != 1 || count[active]+count[next]+count[retired] != len(opened) {
		return nil, errors.New("issuer: key ring has not exactly one active and one next key")
	}
	return r.with(opened...), nil
}

func (s sealedKey) open() (signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(s.PKCS8)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return signingKey{}, errors.New("issuer: key ring holds something that is not a P-256 key")
	}
	k := signingKey{id: thumbprint(&private.PublicKey), private: hide(private), state: s.State, since: time.Unix(s.Since, 0)}
	if s.State == retired {
		k.until = time.Unix(s.Until, 0)
	}
	return k, nil
}
