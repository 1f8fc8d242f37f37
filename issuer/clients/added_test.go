package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
)

// stranger stands between issuers and the store and can do what a Redis writer can: answer as it likes.
type stranger struct {
	Store
	mu     sync.Mutex // guards change
	change func(after uint64, r *store.Register, err *error)
}

func (s *stranger) Register(ctx context.Context, name string, after uint64) (store.Register, error) {
	r, err := s.Store.Register(ctx, name, after)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change != nil {
		s.change(after, &r, &err)
	}
	return r, err
}

func (s *stranger) answers(change func(after uint64, r *store.Register, err *error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

type kit struct {
	*Register
	log *bytes.Buffer
}

func keys(t testing.TB) *sealing.Keys {
	t.Helper()
	k, err := sealing.New(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issuer is one of several on a store.
func issuer(t testing.TB, s Store, file string) kit {
	t.Helper()
	r, err := New(map[string]Client{"fixed": {Secret: hashOf(t, generated), GrantTypes: []string{"client_credentials"}, Audiences: map[string][]string{"orders-api": nil}}}, rules())
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	r.Configure(Config{Store: s, Sealing: keys(t), File: file, Logger: slog.New(slog.NewTextHandler(log, nil))})
	return kit{r, log}
}

func draft(id string) Draft {
	return Draft{Client: Client{ID: id, GrantTypes: []string{"client_credentials"}, Audiences: map[string][]string{"orders-api": {"orders:read"}}, Claims: map[string]any{"tenant": "acme"}}}
}

func (k kit) create(t testing.TB, id string) string {
	t.Helper()
	_, secret, err := k.Create(t.Context(), draft(id))
	if err != nil {
		t.Fatalf("create %s: %v", id, err)
	}
	return secret
}

func (k kit) refresh(t testing.TB) {
	t.Helper()
	if err := k.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// knows says whether a client is let in with a secret.
func (k kit) knows(id, secret string) bool {
	c := k.Lookup(id)
	return c != nil && c.Secret.Matches(hide(secret))
}

// A client's whole life, as another issuer sees it.
func TestClientsComeAndGo(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	a, b := issuer(t, s, ""), issuer(t, s, "")
	secret := a.create(t, "shop")
	b.refresh(t)
	for name, k := range map[string]kit{"its own": a, "another": b} {
		c := k.Lookup("shop")
		if !k.knows("shop", secret) || !c.Added || c.TTL != 10*time.Minute || string(c.Extra["tenant"]) != `"acme"` {
			t.Errorf("%s issuer: does not know the client as it was created: %+v", name, c)
		}
	}
	_, second, err := b.Rotate(t.Context(), "shop", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a.refresh(t)
	if !a.knows("shop", secret) || !a.knows("shop", second) || second == secret {
		t.Error("after a rotation not both secrets are good")
	}
	_, third, err := a.Rotate(t.Context(), "shop", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if a.knows("shop", secret) || !a.knows("shop", second) || !a.knows("shop", third) {
		t.Error("after two rotations more or less than the two newest secrets are good")
	}
	if _, _, err = a.Rotate(t.Context(), "shop", 0); err != nil || a.knows("shop", third) {
		t.Errorf("after a rotation without grace the old secret is good (%v)", err)
	}
	for _, step := range []struct {
		do    func() error
		known bool
	}{
		{func() error { _, err := a.Set(t.Context(), "shop", Disabled); return err }, false},
		{func() error { _, err := a.Set(t.Context(), "shop", Enabled); return err }, true},
		{func() error { _, err := a.Delete(t.Context(), "shop"); return err }, false},
		{func() error { a.create(t, "shop"); return nil }, true},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		b.refresh(t)
		if known := b.Lookup("shop") != nil; known != step.known {
			t.Errorf("another issuer lets the client in: %v, want %v", known, step.known)
		}
	}
}

func TestChangesAreRefused(t *testing.T) {
	t.Parallel()
	k := issuer(t, store.NewMemory(), "")
	k.create(t, "shop")
	public := draft("public")
	public.Public, public.GrantTypes = true, nil
	if _, secret, err := k.Create(t.Context(), public); err != nil || secret != "" || k.Lookup("public") == nil {
		t.Fatalf("public client: secret %q, %v", secret, err)
	}
	create := func(change func(*Draft)) error {
		d := draft("new")
		change(&d)
		_, _, err := k.Create(t.Context(), d)
		return err
	}
	rotate := func(id string) error { _, _, err := k.Rotate(t.Context(), id, 0); return err }
	for what, row := range map[string]struct{ err, want error }{
		"an id of the file":         {create(func(d *Draft) { d.ID = "fixed" }), ErrFixed},
		"an id that is taken":       {create(func(d *Draft) { d.ID = "shop" }), ErrExists},
		"no id":                     {create(func(d *Draft) { d.ID = "" }), ErrRefused},
		"an unknown audience":       {create(func(d *Draft) { d.Audiences = map[string][]string{"x": nil} }), ErrRefused},
		"a reserved claim":          {create(func(d *Draft) { d.Claims = map[string]any{"sub": 1} }), ErrRefused},
		"a life without unit":       {create(func(d *Draft) { d.TTL = "60" }), ErrRefused},
		"a life longer than any":    {create(func(d *Draft) { d.TTL = "11m" }), ErrRefused},
		"rotate one of the file":    {rotate("fixed"), ErrFixed},
		"rotate nobody":             {rotate("nobody"), ErrNotFound},
		"rotate a public client":    {rotate("public"), ErrPublic},
		"disable nobody":            {second(k.Set(t.Context(), "nobody", Disabled)), ErrNotFound},
		"delete one of the file":    {second(k.Delete(t.Context(), "fixed")), ErrFixed},
		"delete nobody":             {second(k.Delete(t.Context(), "nobody")), ErrNotFound},
		"a member in capitals":      {second(ReadDraft([]byte(`{"ID":"x"}`))), ErrRefused},
		"a member that folds":       {second(ReadDraft([]byte(`{"grant_type` + "ſ" + `":[]}`))), ErrRefused},
		"a member twice":            {second(ReadDraft([]byte(`{"id":"x","id":"y"}`))), ErrRefused},
		"a claim twice":             {second(ReadDraft([]byte(`{"id":"x","claims":{"a":1,"a":2}}`))), ErrRefused},
		"a member that is not ours": {second(ReadDraft([]byte(`{"id":"x","secret":"y"}`))), ErrRefused},
		"two values":                {second(ReadDraft([]byte(`{"id":"x"}{}`))), ErrRefused},
		"no object":                 {second(ReadDraft([]byte(`[]`))), ErrRefused},
	} {
		if !errors.Is(row.err, row.want) {
			t.Errorf("%s: got %v, want %v", what, row.err, row.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Of issuers that create the same client at the same time, one does; and different ones all get in.
func TestConcurrentCreation(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	const issuers = 4
	var created, refused int
	var mu sync.Mutex // guards both
	var all sync.WaitGroup
	for n := range issuers {
		k := issuer(t, s, "")
		all.Go(func() {
			_, _, err := k.Create(t.Context(), draft("same"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created++
			} else if errors.Is(err, ErrExists) {
				refused++
			} else {
				t.Errorf("create: %v", err)
			}
		})
		other := issuer(t, s, "")
		all.Go(func() {
			if _, _, err := other.Create(t.Context(), draft(fmt.Sprint("own-", n))); err != nil {
				t.Errorf("create own-%d: %v", n, err)
			}
		})
	}
	all.Wait()
	k := issuer(t, s, "")
	list, err := k.List(t.Context())
	if created != 1 || refused != issuers-1 || err != nil || len(list) != issuers+2 {
		t.Errorf("%d created the same client and %d were refused; %d are listed (%v)", created, refused, len(list), err)
	}
}

// A file client wins over one that was added before it was in the file.
func TestFileClientsWin(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	before, err := New(nil, rules())
	if err != nil {
		t.Fatal(err)
	}
	before.Configure(Config{Store: s, Sealing: keys(t)})
	if _, _, err := before.Create(t.Context(), draft("fixed")); err != nil {
		t.Fatal(err)
	}
	k := issuer(t, s, "")
	k.refresh(t)
	if c := k.Lookup("fixed"); c == nil || c.Added || !strings.Contains(k.log.String(), "stands in") {
		t.Errorf("the client of the file does not win, or nothing is said: %+v, log %q", c, k.log)
	}
}

// Nobody who writes to the store changes who is let in: an entry put back, the head put back, both, a deleted client, an
// entry left out or moved. Neither at an issuer that runs, nor at one that is restarted with its file.
func TestRedisWriterCannotReviveAClient(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	between := &stranger{Store: s}
	file := filepath.Join(t.TempDir(), "clients")
	k := issuer(t, between, file)
	k.create(t, "first")
	victim := k.create(t, "victim")
	old, err := s.Register(t.Context(), registerName, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Delete(t.Context(), "victim"); err != nil {
		t.Fatal(err)
	}
	k.create(t, "third")
	now, err := s.Register(t.Context(), registerName, 0)
	if err != nil {
		t.Fatal(err)
	}
	revived := func() []store.Sealed {
		return append([]store.Sealed{now.Entries[0], old.Entries[1]}, now.Entries[2:]...)
	}
	for what, answer := range map[string]store.Register{
		"the old entry":              {Version: now.Version, Blob: now.Blob, Entries: revived()},
		"the old head":               {Version: old.Version, Blob: old.Blob, Entries: now.Entries},
		"everything old":             old,
		"old under a new number":     {Version: now.Version, Blob: old.Blob, Entries: old.Entries},
		"without the tombstone":      {Version: now.Version, Blob: now.Blob, Entries: append([]store.Sealed{now.Entries[0]}, now.Entries[2:]...)},
		"an entry under another key": {Version: now.Version, Blob: now.Blob, Entries: []store.Sealed{now.Entries[0], now.Entries[1], {Key: now.Entries[2].Key, Version: now.Entries[2].Version, Blob: now.Entries[0].Blob}}},
		"nothing":                    {},
		"a head that is torn":        {Version: now.Version, Blob: now.Blob[:len(now.Blob)-1], Entries: now.Entries},
	} {
		between.answers(func(after uint64, r *store.Register, _ *error) {
			*r = store.Register{Version: answer.Version, Blob: answer.Blob}
			for _, e := range answer.Entries {
				if e.Version > after {
					r.Entries = append(r.Entries, e)
				}
			}
		})
		_ = k.Refresh(t.Context())
		if k.knows("victim", victim) {
			t.Errorf("%s: the deleted client is let in by an issuer that runs", what)
		}
		restarted := issuer(t, between, file)
		err := restarted.Refresh(t.Context())
		if restarted.knows("victim", victim) || err == nil || restarted.Sure() == nil {
			t.Errorf("%s: after a restart: deleted client let in %v, error %v, want it refused", what, restarted.knows("victim", victim), err)
		}
	}
	between.answers(nil)
	restarted := issuer(t, between, file)
	restarted.refresh(t)
	if restarted.Lookup("first") == nil || restarted.Lookup("third") == nil || restarted.Lookup("victim") != nil {
		t.Error("after all that the true register is not taken")
	}
}

// What the store has lost, or has an older copy of, a running issuer writes back; a restarted one takes it.
func TestTheRegisterIsWrittenBack(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(*store.Memory, store.Snapshot){
		"all is lost":         func(m *store.Memory, _ store.Snapshot) { m.Clear() },
		"a copy was restored": func(m *store.Memory, old store.Snapshot) { m.Restore(old) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := store.NewMemory()
			a, b, behind := issuer(t, s, filepath.Join(t.TempDir(), "a")), issuer(t, s, ""), issuer(t, s, "")
			a.create(t, "shop")
			old := s.Snapshot()
			behind.refresh(t)
			a.create(t, "late")
			if _, err := a.Delete(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			b.refresh(t)
			lose(s, old)
			_ = behind.Refresh(t.Context()) // writes back what it knows, which is less
			b.refresh(t)                    // knows more, and says so while that is quiet
			if _, _, err := b.Create(t.Context(), draft("hasty")); !errors.Is(err, ErrQuiet) {
				t.Errorf("%s: a change right after the loss: %v, want ErrQuiet", what, err)
			}
			time.Sleep(quietFor + time.Second)
			for name, k := range map[string]kit{"a": a, "b": b, "behind": behind, "new": issuer(t, s, "")} {
				k.refresh(t)
				if k.Lookup("late") == nil || k.Lookup("shop") != nil {
					t.Errorf("%s: issuer %s: late known %v, deleted shop known %v", what, name, k.Lookup("late") != nil, k.Lookup("shop") != nil)
				}
			}
			a.create(t, "after")
		})
	}
}

// While the store is away nobody who was added is let in for longer than the lease, and nobody is said not to exist.
func TestLeaseEndsWithTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		between := &stranger{Store: store.NewMemory()}
		k := issuer(t, between, "")
		if k.Sure() == nil {
			t.Error("before anything was read, the issuer is sure of who there is not")
		}
		k.create(t, "shop")
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { k.Run(ctx) })
		time.Sleep(10 * Lease)
		if k.Lookup("shop") == nil || k.Sure() != nil {
			t.Errorf("the store is there, and the client is not let in (%v)", k.Sure())
		}
		between.answers(func(_ uint64, r *store.Register, err *error) { *r, *err = store.Register{}, store.ErrUnavailable })
		time.Sleep(Lease + lookEvery)
		if k.Lookup("shop") != nil || !errors.Is(k.Sure(), store.ErrUnavailable) || k.Lookup("fixed") == nil {
			t.Errorf("after the lease: added client %v, client of the file %v, %v", k.Lookup("shop"), k.Lookup("fixed"), k.Sure())
		}
		between.answers(nil)
		time.Sleep(lookEvery)
		synctest.Wait()
		if k.Lookup("shop") == nil || k.Sure() != nil {
			t.Errorf("the store is back, and the client is not let in (%v)", k.Sure())
		}
		stop()
		running.Wait()
	})
}

// A change at one issuer is known to another that runs within a second.
func TestChangesAreSeenWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		a, b := issuer(t, s, ""), issuer(t, s, "")
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.Run(ctx) })
		for n := range 5 {
			id := fmt.Sprint("client-", n)
			secret := a.create(t, id)
			time.Sleep(time.Second)
			if !b.knows(id, secret) {
				t.Errorf("%s is not known after a second", id)
			}
		}
		stop()
		running.Wait()
	})
}

// Ten thousand clients in less than 64 MiB, and no more than them.
func TestTenThousandClients(t *testing.T) {
	s := store.NewMemory()
	k := issuer(t, s, "")
	seed := k.added
	full := newRoll()
	all := make([]*entry, 0, MaxAdded)
	for n := range MaxAdded {
		d := draft(fmt.Sprintf("client-%05d", n))
		_, hash := newSecret()
		doc := document{Client: d.Client, Hash: hash, Old: hash, OldUntil: time.Now().Add(time.Hour).Unix(), State: Enabled, Created: now(), Changed: now()}
		all = append(all, seed.newEntry(uint64(n+1), doc))
	}
	full = full.with(MaxAdded, all...)
	w, err := seed.whole(full)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SwapRegister(t.Context(), registerName, 0, w); err != nil {
		t.Fatal(err)
	}
	all, w, full = nil, store.RegisterWrite{}, nil
	other := issuer(t, s, "")
	before := heap()
	began := time.Now()
	other.refresh(t)
	took := time.Since(began)
	used := heap() - before
	t.Logf("%d clients: %.1f MiB, read in %v", MaxAdded, float64(used)/(1<<20), took)
	if used > 64<<20 {
		t.Errorf("%d clients take %d bytes, want at most 64 MiB", MaxAdded, used)
	}
	other.refresh(t) // reading all of it may have taken longer than the lease
	if other.Lookup("client-09999") == nil {
		t.Error("the last one is not known")
	}
	if _, _, err := other.Create(t.Context(), draft("one-more")); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v, want ErrFull", err)
	}
	if _, err := other.Delete(t.Context(), "client-00000"); err != nil {
		t.Fatal(err)
	}
	other.create(t, "one-more")
	runtime.KeepAlive(other)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
