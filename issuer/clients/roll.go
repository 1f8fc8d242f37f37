package clients

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
)

// roll is the register of one moment: all entries, and what the head says of them. It is immutable and shared.
//
// The head vouches for exactly these entries in exactly these versions. Its digest is the exclusive or of one HMAC for
// each (key, version): that is enough, for an entry opens only under its own key and version, and what the sum is made of
// nobody sees who could look for another set with the same one. It changes with one entry in constant time.
type roll struct {
	head    head
	version uint64 // 0: nobody has ever added a client
	entries map[string]*entry
	sealed  []byte // the head, as the store has it
}

// head is what is sealed at the head of the register.
type head struct {
	Beginning []byte `json:"beginning"` // random; the same for the life of the register
	Digest    []byte `json:"digest"`
	Entries   int    `json:"entries"`
	Epoch     uint64 `json:"epoch"`    // how often it was written back
	Restored  uint64 `json:"restored"` // the version that was written back last
	Quiet     int64  `json:"quiet"`    // Unix seconds; no change before
}

// entry is one client, as it was written last.
type entry struct {
	version uint64
	doc     document
	known   *Known        // nil: it is not let in
	why     error         // that is so because of a rule that it breaks
	life    time.Duration // of its tokens; 0: a rule is broken
}

// document is the sealed form of an entry.
type document struct {
	Client
	TTL      int64     `json:"ttl,omitempty"`         // seconds
	Refresh  int64     `json:"refresh_ttl,omitempty"` // seconds
	Hash     string    `json:"secret,omitempty"`
	Old      string    `json:"old_secret,omitempty"`
	OldUntil int64     `json:"old_until,omitempty"` // Unix seconds
	State    State     `json:"state"`
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
}

// State says whether a client that was added is let in.
type State string

// The states.
const (
	Enabled  State = "enabled"
	Disabled State = "disabled"
	deleted  State = "deleted" // the entry stays, so that everybody hears of it
)

// The names under which things are sealed; an entry's has its key behind it.
const (
	registerName = "clients"
	entryName    = "clients/"
)

func newRoll() *roll {
	beginning := make([]byte, sha256.Size)
	_, _ = rand.Read(beginning) // never fails: crypto/rand ends the process instead
	return &roll{head: head{Beginning: beginning, Digest: make([]byte, sha256.Size), Epoch: 1}, entries: map[string]*entry{}}
}

// derive makes a key for one purpose. It comes from the register's own beginning and not from the key-encryption key, so
// that replacing that one leaves names and digest as they are.
func (h head) derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, h.Beginning, nil, "coatcheck/v1/clients/"+purpose, sha256.Size)
	if err != nil {
		panic("clients: HKDF: " + err.Error())
	}
	return key
}

// hands are the keys of one register, derived once for many entries.
type hands struct{ name, digest []byte }

func (h head) hands() hands { return hands{h.derive("name"), h.derive("digest")} }

// key is what the store calls a client: it learns no ids.
func (k hands) key(id string) string {
	mac := hmac.New(sha256.New, k.name)
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// mark is what one entry adds to the digest, or takes away.
func (k hands) mark(digest []byte, key string, version uint64) {
	mac := hmac.New(sha256.New, k.digest)
	mac.Write(binary.BigEndian.AppendUint64(nil, version))
	mac.Write([]byte(key))
	for i, b := range mac.Sum(nil) {
		digest[i] ^= b
	}
}

// with is the roll with entries in the place of those of the same ids.
func (r *roll) with(version uint64, changed ...*entry) *roll {
	next := &roll{head: r.head, version: version, entries: maps.Clone(r.entries)}
	next.head.Digest = append([]byte(nil), r.head.Digest...)
	k := r.head.hands()
	for _, e := range changed {
		key := k.key(e.doc.ID)
		if old := next.entries[e.doc.ID]; old != nil {
			k.mark(next.head.Digest, key, old.version)
		}
		k.mark(next.head.Digest, key, e.version)
		next.entries[e.doc.ID] = e
	}
	next.head.Entries = len(next.entries)
	return next
}

// vouches: the head that was read says exactly this.
func (r *roll) vouches(h head) bool {
	return r.head.Entries == h.Entries && hmac.Equal(r.head.Digest, h.Digest)
}

func openHead(s *sealing.Keys, version uint64, blob []byte) (head, error) {
	plain, err := s.Open(registerName, version, blob)
	if err != nil {
		return head{}, fmt.Errorf("clients: head of the register, version %d: %w", version, err)
	}
	var h head
	if err := json.Unmarshal(plain, &h); err != nil || len(h.Beginning) != sha256.Size || len(h.Digest) != sha256.Size {
		return head{}, errors.New("clients: head of the register is not what this version writes")
	}
	return h, nil
}

func (h head) seal(s *sealing.Keys, version uint64) []byte {
	plain, err := json.Marshal(h)
	if err != nil {
		panic("clients: head cannot be marshalled: " + err.Error())
	}
	return s.Seal(registerName, version, plain)
}

// seal is the entry as the store gets it.
func (e *entry) seal(s *sealing.Keys, k hands) (store.Sealed, error) {
	plain, err := json.Marshal(e.doc)
	if err != nil {
		return store.Sealed{}, fmt.Errorf("clients: encode client %q: %w", e.doc.ID, err)
	}
	key := k.key(e.doc.ID)
	return store.Sealed{Key: key, Version: e.version, Blob: s.Seal(entryName+key, e.version, plain)}, nil
}

// openEntry is the reverse; rules decide whether the client is let in.
func (a *added) openEntry(k hands, in store.Sealed) (*entry, error) {
	plain, err := a.sealing.Open(entryName+in.Key, in.Version, in.Blob)
	if err != nil {
		return nil, fmt.Errorf("clients: entry %s of the register, version %d: %w", in.Key, in.Version, err)
	}
	var d document
	text := json.NewDecoder(bytes.NewReader(plain)) // not as strict as with strangers: we have written it, and it is sealed
	text.UseNumber()
	if err := text.Decode(&d); err != nil || k.key(d.ID) != in.Key {
		return nil, fmt.Errorf("clients: entry %s of the register is not what this version writes", in.Key)
	}
	return a.newEntry(in.Version, d), nil
}

// newEntry judges a client as everybody who reads it does.
func (a *added) newEntry(version uint64, d document) *entry {
	e := &entry{version: version, doc: d}
	if d.State == deleted {
		e.doc = document{Client: Client{ID: d.ID}, State: deleted, Created: d.Created, Changed: d.Changed}
		return e
	}
	known, err := a.check(d)
	if err != nil {
		e.why = err
		return e
	}
	e.life = known.TTL
	if d.State == Enabled {
		e.known = known
	}
	return e
}

// check is the same as for a client of the file, and that no token lives longer than those of the file.
func (a *added) check(d document) (*Known, error) {
	c := d.Client
	c.TTL, c.RefreshTTL = time.Duration(d.TTL)*time.Second, time.Duration(d.Refresh)*time.Second
	c.Public = d.Hash == "" // it was added as one; all others were given a secret
	var err error
	if c.Secret, err = d.secret(); err != nil {
		return nil, err
	}
	known, err := a.rules.Check(d.ID, c)
	if err == nil && known.TTL > a.longest {
		err = fmt.Errorf("ttl %v is longer than %v, the longest in the configuration file", known.TTL, a.longest)
	}
	if err == nil && known.RefreshTTL > a.longestRefresh {
		err = fmt.Errorf("refresh_ttl %v is longer than %v, the longest in the configuration file", known.RefreshTTL, a.longestRefresh)
	}
	if err != nil {
		return nil, err
	}
	known.Added = true
	return known, nil
}

// secret is what the client has to present.
func (d document) secret() (SecretHash, error) {
	if d.Hash == "" {
		return SecretHash{}, nil
	}
	hash, err := ParseSecretHash(d.Hash)
	if err != nil || d.Old == "" {
		return hash, err
	}
	old, err := ParseSecretHash(d.Old)
	if err != nil {
		return SecretHash{}, err
	}
	return hash.Beside(old, time.Unix(d.OldUntil, 0))
}
