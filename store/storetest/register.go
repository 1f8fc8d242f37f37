package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

func registerTests() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"a register begins at version 0 and says what has changed": registerSaysWhatChanged,
		"a register of another version is not written":             registerConflicts,
		"of concurrent writers of a register each version has one": registerRaces,
		"a register written whole has nothing else":                registerWhole,
		"a long register comes in pages":                           registerPages,
		"what a register may not hold is refused":                  registerBounds,
	}
}

func wantRegister(t *testing.T, s Store, after, version uint64, blob string, want ...store.Sealed) {
	t.Helper()
	got, err := s.Register(t.Context(), "clients", after)
	must(t, err)
	same := slices.EqualFunc(got.Entries, want, func(a, b store.Sealed) bool {
		return a.Key == b.Key && a.Version == b.Version && bytes.Equal(a.Blob, b.Blob)
	})
	if got.Version != version || string(got.Blob) != blob || got.More || !same {
		t.Errorf("register after %d: got %+v, want version %d, head %q and %+v", after, got, version, blob, want)
	}
}

func sealed(key string, version uint64) store.Sealed {
	return store.Sealed{Key: key, Version: version, Blob: fmt.Appendf(nil, "%s \x00\r\n\xff%d", key, version)}
}

func writeOne(t *testing.T, s Store, old uint64, key string) {
	t.Helper()
	must(t, s.SwapRegister(t.Context(), "clients", old,
		store.RegisterWrite{Version: old + 1, Blob: fmt.Appendf(nil, "head \n%d", old+1), Entries: []store.Sealed{sealed(key, old+1)}}))
}

func registerSaysWhatChanged(t *testing.T, s Store) {
	wantRegister(t, s, 0, 0, "")
	for old, key := range []string{"a", "b", "a"} {
		writeOne(t, s, uint64(old), key)
	}
	wantRegister(t, s, 0, 3, "head \n3", sealed("b", 2), sealed("a", 3))
	wantRegister(t, s, 2, 3, "head \n3", sealed("a", 3))
	wantRegister(t, s, 3, 3, "head \n3")
	wantRegister(t, s, 99, 3, "head \n3")

	got, err := s.Register(t.Context(), "clients", 0)
	must(t, err)
	clear(got.Blob)
	clear(got.Entries[0].Blob)
	wantRegister(t, s, 0, 3, "head \n3", sealed("b", 2), sealed("a", 3))
	other, err := s.Register(t.Context(), "others", 0)
	must(t, err)
	if other.Version != 0 || len(other.Entries) > 0 {
		t.Errorf("another register holds %+v", other)
	}
}

func registerConflicts(t *testing.T, s Store) {
	writeOne(t, s, 0, "a")
	for _, old := range []uint64{0, 2, 1 << 52} {
		w := store.RegisterWrite{Version: old + 1, Blob: []byte("x"), Entries: []store.Sealed{sealed("a", old+1)}, Whole: true}
		wantErr(t, "write over another version", s.SwapRegister(t.Context(), "clients", old, w), store.ErrConflict)
	}
	wantRegister(t, s, 0, 1, "head \n1", sealed("a", 1))
}

func registerRaces(t *testing.T, s Store) {
	race(racers, func(i int) {
		key := fmt.Sprint("racer-", i)
		for {
			r, err := s.Register(t.Context(), "clients", 0)
			if err == nil {
				next := r.Version + 1
				w := store.RegisterWrite{Version: next, Blob: []byte("head"), Entries: []store.Sealed{{Key: key, Version: next, Blob: []byte(key)}}}
				err = s.SwapRegister(t.Context(), "clients", r.Version, w)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("racer %d: %v", i, err)
				return
			}
		}
	})
	r, err := s.Register(t.Context(), "clients", 0)
	must(t, err)
	if r.Version != racers || len(r.Entries) != racers {
		t.Errorf("after %d racers: version %d with %d entries, want one of each", racers, r.Version, len(r.Entries))
	}
}

func registerWhole(t *testing.T, s Store) {
	for old, key := range []string{"a", "b", "c"} {
		writeOne(t, s, uint64(old), key)
	}
	must(t, s.SwapRegister(t.Context(), "clients", 3,
		store.RegisterWrite{Version: 9, Blob: []byte("nine"), Entries: []store.Sealed{sealed("d", 2), sealed("b", 7)}, Whole: true}))
	wantRegister(t, s, 0, 9, "nine", sealed("d", 2), sealed("b", 7))
	must(t, s.SwapRegister(t.Context(), "clients", 9, store.RegisterWrite{Version: 10, Blob: []byte("ten"), Whole: true}))
	wantRegister(t, s, 0, 10, "ten")
}

func registerPages(t *testing.T, s Store) {
	const entries = 1000
	w := store.RegisterWrite{Version: entries, Blob: []byte("head")}
	for n := range entries {
		w.Entries = append(w.Entries, store.Sealed{Key: fmt.Sprint("k", n), Version: uint64(n + 1), Blob: bytes.Repeat([]byte{byte(n)}, 4<<10)})
	}
	must(t, s.SwapRegister(t.Context(), "clients", 0, w))
	var all []store.Sealed
	for after, more := uint64(0), true; more; {
		r, err := s.Register(t.Context(), "clients", after)
		must(t, err)
		if r.Version != entries || len(r.Entries) == 0 {
			t.Fatalf("after %d: version %d with %d entries", after, r.Version, len(r.Entries))
		}
		all = append(all, r.Entries...)
		after, more = all[len(all)-1].Version, r.More
	}
	same := slices.EqualFunc(all, w.Entries, func(a, b store.Sealed) bool {
		return a.Key == b.Key && a.Version == b.Version && bytes.Equal(a.Blob, b.Blob)
	})
	if !same {
		t.Errorf("%d entries come back, or others than the %d that were written", len(all), entries)
	}
}

func registerBounds(t *testing.T, s Store) {
	blob := []byte("x")
	one := func(e store.Sealed) store.RegisterWrite {
		return store.RegisterWrite{Version: 1, Blob: blob, Entries: []store.Sealed{e}}
	}
	for what, w := range map[string]store.RegisterWrite{
		"the same version":         {Version: 0, Blob: blob},
		"a version beyond all":     {Version: 1 << 53, Blob: blob},
		"no head":                  {Version: 1},
		"a head too large":         {Version: 1, Blob: make([]byte, store.MaxHead+1)},
		"an entry too large":       one(store.Sealed{Key: "k", Version: 1, Blob: make([]byte, store.MaxEntry+1)}),
		"an empty entry":           one(store.Sealed{Key: "k", Version: 1}),
		"an entry of version 0":    one(store.Sealed{Key: "k", Blob: blob}),
		"an entry beyond the head": one(store.Sealed{Key: "k", Version: 2, Blob: blob}),
		"too many entries":         {Version: 1, Blob: blob, Entries: make([]store.Sealed, store.MaxEntries+1)},
	} {
		wantRefused(t, what, s.SwapRegister(t.Context(), "clients", 0, w))
	}
	for _, name := range hostile() {
		_, err := s.Register(t.Context(), name, 0)
		wantRefused(t, "register of a hostile name", err)
		wantRefused(t, "write of a hostile name", s.SwapRegister(t.Context(), name, 0, store.RegisterWrite{Version: 1, Blob: blob}))
		wantRefused(t, "entry of a hostile name", s.SwapRegister(t.Context(), "clients", 0, one(store.Sealed{Key: name, Version: 1, Blob: blob})))
	}
	largest := one(store.Sealed{Key: "k", Version: 1, Blob: bytes.Repeat([]byte{0xfe}, store.MaxEntry)})
	largest.Blob = bytes.Repeat([]byte{0xfe}, store.MaxHead)
	must(t, s.SwapRegister(t.Context(), "clients", 0, largest))
	wantRegister(t, s, 0, 1, string(largest.Blob), largest.Entries[0])
}
