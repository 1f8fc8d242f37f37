package keyring

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// Signer is a private key that lives outside the ring: in a file, in another process, in hardware.
type Signer struct {
	crypto.Signer
	// Algorithm is what it signs with. Empty: ES256 for P-256, EdDSA for Ed25519, and for RSA Config.Algorithm if that is
	// one of RSA's, else RS256.
	Algorithm string
}

// SignerSource has the keys that live outside. Then the store keeps the public halves alone.
//
// All issuers of one system have the same source. They still agree on one ring: a key that is new in the list is
// published first, and signs when every verifier can know it; the key that was used before retires then.
type SignerSource interface {
	// Signers are the keys in the order in which they are to sign: the first is wanted now, the second next. A retired
	// key may stay in the list, and is passed over. It is called every few seconds, so it answers from what it knows as
	// long as nothing has changed; it is bounded by ctx. After an error the keeper goes on with the list of before.
	Signers(ctx context.Context) ([]Signer, error)
}

var errNoneListed = errors.New("keyring: no key that lives outside can be used: each is retired or was withdrawn; put a new one in the list")

// mostGone bounds what a ring remembers of outside keys that have left it.
const mostGone = 256

// leave writes down that an outside key is never to come back.
func (r *Ring) leave(k Key) {
	if !k.outside || slices.Contains(r.gone, k.id) {
		return
	}
	r.gone = append(slices.Clone(r.gone), k.id)
	r.gone = r.gone[max(0, len(r.gone)-mostGone):]
}

// usable are the listed keys that may sign under the ring, now or later.
func (p plan) usable(r *Ring) []Key {
	var all []Key
	for _, k := range p.listed {
		there, known := r.byID(k.id)
		if (known && there.state == retired) || slices.Contains(r.gone, k.id) {
			continue
		}
		if known {
			k.algorithm = there.algorithm // a key has one all its life
		}
		all = append(all, k)
	}
	return all
}

// successor is the listed key that is to be next: the first that is not active; nil: there is none.
func (p plan) successor(r *Ring) *Key {
	for _, k := range p.usable(r) {
		if there, known := r.byID(k.id); !known || there.state != active {
			return &k
		}
	}
	return nil
}

func (p plan) lists(id string) bool {
	return slices.ContainsFunc(p.listed, func(k Key) bool { return k.id == id })
}

// equipped is the ring with the private halves that are listed.
func (r *Ring) equipped(listed []Key) *Ring {
	if len(listed) == 0 {
		return r
	}
	e := *r
	e.keys = slices.Clone(r.keys)
	for n, k := range e.keys {
		if at := slices.IndexFunc(listed, func(l Key) bool { return l.id == k.id }); k.outside && k.state != retired && at >= 0 {
			e.keys[n].private = listed[at].private
		}
	}
	return &e
}

// ask asks the source. A key that is new is tried first: it must make a signature that a verifier accepts.
func ask(ctx context.Context, source SignerSource, preferred string, before []Key) ([]Key, error) {
	signers, err := source.Signers(ctx)
	if err != nil {
		return nil, fmt.Errorf("keyring: keys that live outside: %w", err)
	}
	if len(signers) == 0 {
		return nil, errors.New("keyring: keys that live outside: the list is empty")
	}
	var all []Key
	for n, s := range signers {
		k, err := s.key(preferred)
		if err == nil && slices.ContainsFunc(all, func(a Key) bool { return a.id == k.id }) {
			err = errors.New("keyring: it is in the list twice")
		}
		if err == nil && !slices.ContainsFunc(before, func(b Key) bool { return b.id == k.id && b.algorithm == k.algorithm }) {
			err = k.try(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("keyring: key %d that lives outside: %w", n+1, err)
		}
		all = append(all, k)
	}
	return all, nil
}

func (s Signer) key(preferred string) (Key, error) {
	if s.Signer == nil {
		return Key{}, errors.New("keyring: there is none")
	}
	public := s.Public()
	algorithm, err := fitting(public, or(s.Algorithm, preferred))
	if err != nil {
		return Key{}, err
	}
	if s.Algorithm != "" && s.Algorithm != algorithm {
		return Key{}, fmt.Errorf("keyring: its algorithm is said to be %s, and the key fits %s", s.Algorithm, algorithm)
	}
	return Key{id: thumbprint(public), algorithm: algorithm, public: public, private: hide(s.Signer), outside: true}, nil
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// tryType is the class of what is signed to try a key. Nothing accepts it.
const tryType = "coatcheck-trial+jwt"

// try makes a signature and looks at it as a verifier would.
func (k *Key) try(ctx context.Context) error {
	now := time.Now()
	raw, err := k.Sign(tryType, fmt.Appendf(nil, `{"iss":"trial","aud":"trial","exp":%d}`, now.Add(time.Minute).Unix()))
	if err != nil {
		return err
	}
	keys := verifier.StaticKeys{k.id: {ID: k.id, Algorithm: k.algorithm, Public: k.public}}
	expect := verifier.Expect{Type: tryType, Issuer: "trial", Audience: "trial"}
	if _, err := verifier.Signed(ctx, keys, raw, expect, now); err != nil {
		return fmt.Errorf("keyring: its signature does not hold under its public key: %w", err)
	}
	return nil
}
