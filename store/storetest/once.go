package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// onceTests are the rules of names that are taken once.
func onceTests() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"a name is taken once":                            onceIsOnce,
		"of concurrent takers exactly one has the name":   oneTakerWins,
		"a name that has ended is not taken":              onceEnds,
		"what could be taken before the opening is not":   onceAfterOpening,
		"a name that ends before it begins is refused":    onceRefused,
		"a name is no record, and a record is no name":    onceIsNoRecord,
		"names of a cancelled caller are not taken":       onceCancelled,
		"names that are taken do not count as a client's": onceIsNoQuota,
	}
}

// coming is a time to come: a name that is used then, and not before, cannot have been taken before the shard was opened.
func coming() (from, until time.Time) {
	from = time.Now().Add(20 * time.Second)
	return from, from.Add(time.Minute)
}

// Taken is the answer of Once as one error: store.ErrExists when the name was taken.
func Taken(free bool, err error) error {
	if err == nil && !free {
		return store.ErrExists
	}
	return err
}

func onceIsOnce(t *testing.T, s Store) {
	from, until := coming()
	for _, name := range []string{"a", "b", "A"} {
		must(t, Taken(s.Once(t.Context(), name, from, until)))
		wantErr(t, "again "+name, Taken(s.Once(t.Context(), name, from, until)), store.ErrExists)
		wantErr(t, "longer "+name, Taken(s.Once(t.Context(), name, from, until.Add(time.Minute))), store.ErrExists)
	}
}

func oneTakerWins(t *testing.T, s Store) {
	from, until := coming()
	for n := range 20 {
		var won atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := Taken(s.Once(t.Context(), fmt.Sprint("name-", n), from, until)); err == nil {
					won.Add(1)
				} else {
					wantErr(t, "a loser", err, store.ErrExists)
				}
			})
		}
		all.Wait()
		if got := won.Load(); got != 1 {
			t.Errorf("name %d: %d have it, want one", n, got)
		}
	}
}

func onceEnds(t *testing.T, s Store) {
	past := time.Now().Add(-time.Hour)
	if err := Taken(s.Once(t.Context(), "x", past, past.Add(time.Minute))); err == nil {
		t.Error("a name that ended an hour ago is taken")
	}
}

func onceAfterOpening(t *testing.T, s Store) {
	now := time.Now()
	wantErr(t, "from now", Taken(s.Once(t.Context(), "x", now, now.Add(time.Minute))), store.ErrUnavailable)
	wantErr(t, "from a minute ago", Taken(s.Once(t.Context(), "x", now.Add(-time.Minute), now.Add(time.Minute))), store.ErrUnavailable)
	from, until := coming()
	must(t, Taken(s.Once(t.Context(), "x", from, until)))
}

func onceRefused(t *testing.T, s Store) {
	from, until := coming()
	wantRefused(t, "the wrong way round", Taken(s.Once(t.Context(), "x", until, from)))
	wantRefused(t, "for an hour", Taken(s.Once(t.Context(), "x", from, from.Add(time.Hour))))
	for _, name := range hostile() {
		wantRefused(t, "name "+name[:min(len(name), 20)], Taken(s.Once(t.Context(), name, from, until)))
	}
	must(t, Taken(s.Once(t.Context(), "x", from, until)))
}

func onceIsNoRecord(t *testing.T, s Store) {
	r := NewRecord()
	from, until := coming()
	must(t, Taken(s.Once(t.Context(), r.JTI, from, until)))
	_, err := s.Take(t.Context(), r.JTI)
	wantErr(t, "take of a name", err, store.ErrNotFound)
	must(t, s.Put(t.Context(), r, store.Quota{}))
	wantErr(t, "the name again", Taken(s.Once(t.Context(), r.JTI, from, until)), store.ErrExists)
}

func onceIsNoQuota(t *testing.T, s Store) {
	from, until := coming()
	r := NewRecord()
	must(t, Taken(s.Once(t.Context(), r.Client, from, until)))
	must(t, s.Put(t.Context(), r, store.Quota{Grants: 1}))
}

func onceCancelled(t *testing.T, s Store) {
	from, until := coming()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "once", Taken(s.Once(ctx, "x", from, until)), store.ErrUnavailable)
	must(t, Taken(s.Once(t.Context(), "x", from, until)))
}
