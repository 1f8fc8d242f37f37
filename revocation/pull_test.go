package revocation_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

func TestPullPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		lease       time.Duration
		err         error
		least, most int // pulls in ten seconds
	}{
		{"four times a lease", 500 * time.Millisecond, nil, 72, 90},
		{"a short lease is followed", 40 * time.Millisecond, nil, 900, 1120},
		{"a lease beyond the longest is cut", 24 * time.Hour, nil, 1, 2},
		{"a nonsensical lease makes no flood", time.Nanosecond, nil, 1700, 2300},
		{"a store that is away is asked twice a second", 500 * time.Millisecond, store.ErrUnavailable, 18, 26},
		{"a shard that is closed is asked twice a second", 40 * time.Millisecond, store.ErrClosed, 18, 26},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				l.shards[0].lease, l.shards[0].err = c.lease, c.err
				follow(t, l)
				pass(10 * time.Second)
				if l.pulls < c.least || l.pulls > c.most {
					t.Errorf("%d pulls in 10 s, want %d to %d", l.pulls, c.least, c.most)
				}
			})
		})
	}
}

func TestPullIsSoonThereWhenTheStoreIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.shards[0].err = store.ErrUnavailable
		f := follow(t, l)
		pass(time.Hour)
		l.change(func() { l.shards[0].err = nil })
		pass(550 * time.Millisecond)
		if err := f.Ready(); err != nil {
			t.Errorf("550 ms after the store came back: %v", err)
		}
	})
}

func TestPullReadsPagesAtOnceAndLeasesOnlyTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.shards[0].page = 10
		f := follow(t, l)
		kept := keep(t, f, l, 0, "95")
		for i := range 100 {
			l.revoke(0, store.KindToken, fmt.Sprintf("jti-%d", i))
		}
		next := make(chan struct{})
		l.change(func() { l.before = func(context.Context, int) { <-next } })
		began := time.Now()
		pass(leaseLength * 11 / 40) // a pull is held up
		held := time.Since(began)
		for page := 1; page < 10; page++ {
			next <- struct{}{}
			synctest.Wait()
			if got, want := f.Since(0).Seq, uint64(page*10); got != want {
				t.Fatalf("after page %d applied up to %d, want %d", page, got, want)
			}
			if got, want := f.Left(0, time.Now()), leaseLength-held; got != want {
				t.Fatalf("after page %d of 10 the lease has %v left, want %v: it may not begin before all is read", page, got, want)
			}
		}
		close(next)
		synctest.Wait()
		if got := f.Left(0, time.Now()); got != leaseLength || f.Since(0).Seq != 100 || kept.holds() {
			t.Errorf("after the last page %v left, at %d, revoked answer holds: %t; want %v, 100, false", got, f.Since(0).Seq, kept.holds(), leaseLength)
		}
		if time.Since(began) != held {
			t.Errorf("10 pages took %v, want no pause between them", time.Since(began)-held)
		}
	})
}

func TestPullTellsItsName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		run(t, newFollower(t, revocation.FollowerConfig{Log: l, Name: "edge-1"}))
		pass(time.Second)
		for _, seen := range l.seen {
			if seen != "edge-1" {
				t.Errorf("pulled as %q, want edge-1", seen)
			}
		}
	})
}

// TestPullOfATornAnswer plants answers that cannot follow from the last one: damage, or a store that was changed under us.
func TestPullOfATornAnswer(t *testing.T) {
	t.Parallel()
	for name, tear := range map[string]func(p *store.Pulled){
		"an entry is missing in the middle": func(p *store.Pulled) { p.Entries = append(p.Entries[:1:1], p.Entries[2:]...) },
		"the first entry is missing":        func(p *store.Pulled) { p.Entries = p.Entries[1:] },
		"the last entry is missing":         func(p *store.Pulled) { p.Entries = p.Entries[:2] },
		"entries are out of order":          func(p *store.Pulled) { p.Entries[0], p.Entries[1] = p.Entries[1], p.Entries[0] },
		"no entry, and a position ahead":    func(p *store.Pulled) { p.Entries = nil },
		"another id at its end":             func(p *store.Pulled) { p.At.ID = "another" },
		"more, and nothing now":             func(p *store.Pulled) { p.Entries, p.At, p.More = nil, store.Position{ID: "beginning"}, true },
		"another id at its beginning":       func(p *store.Pulled) { p.Entries, p.At = nil, store.Position{ID: "another"} },
		"a flush with entries":              func(p *store.Pulled) { p.Flush = true },
		"a flush, and more":                 func(p *store.Pulled) { p.Flush, p.More, p.Entries = true, true, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := follow(t, l)
				kept := keep(t, f, l, 0, "one")
				for _, stranger := range []string{"a", "b", "c"} {
					l.revoke(0, store.KindToken, stranger)
				}
				stale, _ := l.look(0, "jti-one")
				resume := make(chan struct{})
				l.change(func() {
					l.edit = tear
					l.before = func(_ context.Context, nth int) {
						if nth > 2 {
							<-resume
						}
					}
				})
				pass(leaseLength * 11 / 40)
				var m revocation.Mark
				if kept.holds() || f.Keep(&m, stale, &kept.n) {
					t.Error("a torn answer has left what was kept, or lets another answer be kept")
				}
				l.change(func() { l.edit = nil })
				close(resume)
				pass(leaseLength)
				again := keep(t, f, l, 0, "one")
				if err := f.Ready(); err != nil || !again.holds() {
					t.Errorf("after whole answers Ready = %v, holds: %t; want a lease", err, again.holds())
				}
			})
		})
	}
}

func TestPullOfTooFewAnswersLeasesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(2)
		l.few = true
		f := follow(t, l)
		pass(time.Second)
		if f.Left(0, time.Now()) <= 0 || f.Left(1, time.Now()) > 0 {
			t.Errorf("one answer for two shards: leases of %v and %v, want only the first", f.Left(0, time.Now()), f.Left(1, time.Now()))
		}
	})
}
