package clients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Why a change was not made. Any other error: it cannot be told whether it was.
var (
	ErrNotFound = errors.New("clients: there is no client of that id")
	ErrExists   = errors.New("clients: there is a client of that id")
	ErrFixed    = errors.New("clients: the client is one of the configuration file, and changes only there")
	ErrRefused  = errors.New("clients: the client is not well-formed")
	ErrPublic   = errors.New("clients: the client is public and has no secret")
	ErrFull     = errors.New("clients: there are as many clients as there may be")
	ErrQuiet    = errors.New("clients: the register of clients was written back a moment ago")
)

const (
	// MaxAdded is how many clients can be added at run time.
	MaxAdded = 10000

	maxTries = 8 // of a change that another issuer came before
)

// Details are a client as operators see it: neither its secret nor a hash of it.
type Details struct {
	Client
	TTL         string     `json:"ttl"`
	Refresh     string     `json:"refresh_ttl,omitempty"`
	Source      string     `json:"source"` // file, or run-time
	State       State      `json:"state"`
	Public      bool       `json:"public,omitempty"`           // it has no secret
	SecondUntil *time.Time `json:"old_secret_until,omitempty"` // an older secret is good until then
	Broken      string     `json:"not_let_in,omitempty"`       // why not, although it is enabled
	Created     *time.Time `json:"created,omitempty"`
	Changed     *time.Time `json:"changed,omitempty"`
}

// Draft is a client to be added: Client's members, ttl as Go writes a duration ("10m"), and public: true for one without
// secret.
type Draft struct {
	Client
	TTL     string `json:"ttl,omitempty"`
	Refresh string `json:"refresh_ttl,omitempty"`
	Public  bool   `json:"public,omitempty"`
}

// ReadDraft reads a draft strictly.
func ReadDraft(text []byte) (Draft, error) {
	var d Draft
	if err := decode(text, &d); err != nil {
		return Draft{}, fmt.Errorf("%w: %s", ErrRefused, strings.TrimPrefix(err.Error(), "json: "))
	}
	return d, nil
}

// Create adds a client, and returns its secret: it is nowhere else. Of several issuers that add the same id at the same
// time, one succeeds.
func (r *Register) Create(ctx context.Context, d Draft) (Details, string, error) {
	doc := document{Client: d.Client, State: Enabled, Created: now()}
	doc.Changed = doc.Created
	var err error
	if doc.TTL, err = seconds("ttl", d.TTL); err != nil {
		return Details{}, "", err
	}
	if doc.Refresh, err = seconds("refresh_ttl", d.Refresh); err != nil {
		return Details{}, "", err
	}
	secret := ""
	if !d.Public {
		secret, doc.Hash = newSecret()
	}
	if _, err := r.added.check(doc); err != nil {
		return Details{}, "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	details, err := r.added.change(ctx, d.ID, func(old *entry) (document, error) {
		if old != nil && old.doc.State != deleted {
			return document{}, ErrExists
		}
		return doc, nil
	})
	if err != nil {
		return Details{}, "", err
	}
	return details, secret, nil
}

// seconds reads a duration as Go writes it; empty is 0.
func seconds(what, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return 0, fmt.Errorf("%w: %s must be a number of whole seconds, such as 10m", ErrRefused, what)
	}
	return int64(d / time.Second), nil
}

// Rotate gives a client another secret, beside the one that it has, which stays good for grace. If an older one was still
// good beside that, it ends now: never more than two live at once.
func (r *Register) Rotate(ctx context.Context, id string, grace time.Duration) (Details, string, error) {
	secret, hash := newSecret()
	details, err := r.added.change(ctx, id, func(old *entry) (document, error) {
		if old == nil || old.doc.State == deleted {
			return document{}, ErrNotFound
		}
		doc := old.doc
		if doc.Hash == "" {
			return document{}, ErrPublic
		}
		doc.Hash, doc.Old, doc.OldUntil, doc.Changed = hash, doc.Hash, now().Add(grace).Unix(), now()
		if grace <= 0 {
			doc.Old, doc.OldUntil = "", 0
		}
		return doc, nil
	})
	if err != nil {
		return Details{}, "", err
	}
	return details, secret, nil
}

// Set enables or disables a client. After a disabled one's Lease no issuer lets it in.
func (r *Register) Set(ctx context.Context, id string, state State) (Details, error) {
	return r.added.change(ctx, id, func(old *entry) (document, error) {
		if old == nil || old.doc.State == deleted {
			return document{}, ErrNotFound
		}
		doc := old.doc
		doc.State, doc.Changed = state, now()
		return doc, nil
	})
}

// Delete takes a client away. After Lease no issuer lets it in. One that is away already is taken away again, so that what
// has to follow can be tried again.
func (r *Register) Delete(ctx context.Context, id string) (Details, error) {
	return r.added.change(ctx, id, func(old *entry) (document, error) {
		if old == nil {
			return document{}, ErrNotFound
		}
		doc := old.doc
		doc.State, doc.Changed = deleted, now()
		return doc, nil
	})
}

// Show finds one, as it is in the store now.
func (r *Register) Show(ctx context.Context, id string) (Details, error) {
	if known := r.file[id]; known != nil {
		return fixedDetails(known), nil
	}
	if err := r.added.look(ctx); err != nil {
		return Details{}, err
	}
	e := r.added.kept.Load().roll.entries[id]
	if e == nil || e.doc.State == deleted {
		return Details{}, ErrNotFound
	}
	return e.details(), nil
}

// List is all clients, in the order of their ids, as they are in the store now.
func (r *Register) List(ctx context.Context) ([]Details, error) {
	if err := r.added.look(ctx); err != nil {
		return nil, err
	}
	all := []Details{}
	for _, known := range r.file {
		all = append(all, fixedDetails(known))
	}
	for id, e := range r.added.kept.Load().roll.entries {
		if r.file[id] == nil && e.doc.State != deleted {
			all = append(all, e.details())
		}
	}
	slices.SortFunc(all, func(a, b Details) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// change writes one entry, made from the newest of that id, over whatever other issuers write at the same time.
func (a *added) change(ctx context.Context, id string, made func(*entry) (document, error)) (Details, error) {
	if a.fixed[id] != nil {
		return Details{}, ErrFixed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for range maxTries {
		if err := a.lookLocked(ctx); err != nil {
			return Details{}, err
		}
		have := a.kept.Load().roll
		if time.Now().Unix() < have.head.Quiet {
			return Details{}, ErrQuiet
		}
		old := have.entries[id]
		doc, err := made(old)
		if err != nil {
			return Details{}, err
		}
		e, err := a.write(ctx, have, doc, old == nil || old.doc.State == deleted)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return Details{}, err
		}
		return e.details(), nil
	}
	return Details{}, fmt.Errorf("clients: others were faster %d times: %w", maxTries, store.ErrConflict)
}

// write puts one entry and the head; where there is no more place for those that are gone, without them.
func (a *added) write(ctx context.Context, have *roll, doc document, more bool) (*entry, error) {
	if more && have.living() >= MaxAdded {
		return nil, ErrFull
	}
	if have.version == 0 {
		have = newRoll()
	}
	version := have.version + 1
	e := a.newEntry(version, doc)
	next := have.with(version, e)
	var w store.RegisterWrite
	var err error
	if len(next.entries) > store.MaxEntries {
		next = next.withoutDeleted()
		w, err = a.whole(next)
	} else {
		var s store.Sealed
		s, err = e.seal(a.sealing, next.head.hands())
		w = store.RegisterWrite{Version: version, Blob: next.head.seal(a.sealing, version), Entries: []store.Sealed{s}}
	}
	if err != nil {
		return nil, err
	}
	asked := time.Now()
	if err := a.store.SwapRegister(ctx, registerName, have.version, w); err != nil {
		return nil, fmt.Errorf("clients: write register: %w", err)
	}
	next.sealed = w.Blob
	if err := a.file.save(next); err != nil {
		return nil, err
	}
	a.kept.Store(&kept{roll: next, asked: asked})
	return e, nil
}

func (r *roll) living() (n int) {
	for _, e := range r.entries {
		if e.doc.State != deleted {
			n++
		}
	}
	return n
}

func (r *roll) withoutDeleted() *roll {
	empty := &roll{head: r.head, entries: map[string]*entry{}}
	empty.head.Digest = make([]byte, sha256.Size)
	var living []*entry
	for _, e := range r.entries {
		if e.doc.State != deleted {
			living = append(living, e)
		}
	}
	return empty.with(r.version, living...)
}

func (e *entry) details() Details {
	created, changed := e.doc.Created, e.doc.Changed
	d := Details{
		Client: e.doc.Client, Source: "run-time", State: e.doc.State, Public: e.doc.Hash == "", Created: &created, Changed: &changed,
		TTL: (time.Duration(e.doc.TTL) * time.Second).String(),
	}
	if e.life > 0 {
		d.TTL = e.life.String()
	}
	if e.doc.Refresh > 0 {
		d.Refresh = (time.Duration(e.doc.Refresh) * time.Second).String()
	}
	if hash, err := e.doc.secret(); err == nil {
		d.second(hash)
	}
	if e.why != nil {
		d.Broken = e.why.Error()
	}
	return d
}

func fixedDetails(known *Known) Details {
	d := Details{Client: known.Client, Source: "file", State: Enabled, TTL: known.TTL.String(), Public: known.Public}
	d.Claims = make(map[string]any, len(known.Extra))
	for name, value := range known.Extra {
		d.Claims[name] = value
	}
	if known.RefreshTTL > 0 {
		d.Refresh = known.RefreshTTL.String()
	}
	d.second(known.Secret)
	return d
}

func (d *Details) second(hash SecretHash) {
	if until, lives := hash.Second(); lives && !until.IsZero() {
		until = until.UTC()
		d.SecondUntil = &until
	}
}

// newSecret is a secret of 256 bits, and what is kept of it. It has no character that has to be encoded anywhere.
func newSecret() (secret, hash string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	secret = base64.RawURLEncoding.EncodeToString(raw)
	return secret, secretHash{sum: sha256.Sum256([]byte(secret))}.text()
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
