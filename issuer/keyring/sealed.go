package keyring

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// ringName is the state's name in the store, and part of what a sealed ring is bound to.
const ringName = "key-ring"

// ringFormat guards against a program that would read a later form and write back less than it read.
// What is new in 2: algorithms, and keys without their private half.
const ringFormat = 2

// sealedRing is the plain text of the sealed state.
type sealedRing struct {
	Format     int         `json:"format"`
	Generation uint64      `json:"generation"`
	Beginning  []byte      `json:"index_key"` // its name from the time when handles were made with it
	Life       int64       `json:"life_seconds"`
	Keys       []sealedKey `json:"keys"`
	Gone       []string    `json:"gone,omitempty"`
	Quiet      int64       `json:"quiet_until,omitempty"`
}

// sealedKey has one of the halves: the private one of a key that lives here and signs or will sign, else the public one.
type sealedKey struct {
	State     State  `json:"state"`
	Since     int64  `json:"since"`
	Until     int64  `json:"until,omitempty"`
	Algorithm string `json:"alg,omitempty"` // empty: ES256, of a ring that was written before there were others
	Outside   bool   `json:"outside,omitempty"`
	PKCS8     []byte `json:"pkcs8,omitempty"`
	Public    []byte `json:"public,omitempty"` // PKIX
}

// seal makes what the store is to keep under that version.
func (r *Ring) seal(keys *sealing.Keys, version uint64) ([]byte, error) {
	beginning := r.beginning()
	out := sealedRing{Format: ringFormat, Generation: r.generation, Beginning: beginning[:], Life: int64(r.life / time.Second), Gone: r.gone}
	if !r.quiet.IsZero() {
		out.Quiet = r.quiet.Unix()
	}
	for _, k := range r.keys {
		s, err := k.seal()
		if err != nil {
			return nil, fmt.Errorf("keyring: encode signing key %s: %w", k.id, err)
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
	if in.Format < 1 || in.Format > ringFormat || in.Generation == 0 || len(in.Beginning) != len(newBeginning()) {
		return nil, fmt.Errorf("keyring: key ring has format %d: it was written by another version of this program; run that one or a later one", in.Format)
	}
	r := Ring{generation: in.Generation, beginning: hide([32]byte(in.Beginning)), life: time.Duration(in.Life) * time.Second, gone: in.Gone}
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
	if count[active] != 1 || count[next] > 1 || count[active]+count[next]+count[retired] != len(opened) {
		return nil, errors.New("keyring: key ring has not exactly one active and at most one next key")
	}
	return r.with(opened...), nil
}

func (k *Key) seal() (sealedKey, error) {
	s := sealedKey{State: k.state, Since: k.since.Unix(), Algorithm: k.algorithm, Outside: k.outside}
	if k.state == retired {
		s.Until = k.until.Unix()
	}
	var err error
	if k.outside || k.private == nil {
		s.Public, err = x509.MarshalPKIXPublicKey(k.public)
	} else {
		s.PKCS8, err = x509.MarshalPKCS8PrivateKey(k.private())
	}
	return s, err
}

func (s sealedKey) open() (Key, error) {
	k := Key{state: s.State, since: time.Unix(s.Since, 0), outside: s.Outside}
	if s.State == retired {
		k.until = time.Unix(s.Until, 0)
	}
	var err error
	if len(s.PKCS8) > 0 {
		var private crypto.Signer
		if private, err = parsePKCS8(s.PKCS8); err == nil {
			k.public, k.private = private.Public(), hide(private)
		}
	} else {
		k.public, err = x509.ParsePKIXPublicKey(s.Public)
	}
	if err != nil {
		return Key{}, errors.New("keyring: key ring holds something that is not a key")
	}
	if k.algorithm, err = fitting(k.public, s.Algorithm); err != nil {
		return Key{}, err
	}
	if s.Algorithm != "" && s.Algorithm != k.algorithm {
		return Key{}, fmt.Errorf("keyring: key ring holds a key for %s that fits %s", s.Algorithm, k.algorithm)
	}
	k.id = thumbprint(k.public)
	return k, nil
}

// parsePKCS8 reads a private key that can sign.
func parsePKCS8(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("keyring: not a PKCS #8 private key") // the parser's words may quote it
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("keyring: a key of type %T does not sign", parsed)
	}
	return private, nil
}
