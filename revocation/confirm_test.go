package revocation_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// TestWatchWithoutAMark: its answer was not kept, so the store is asked.
func TestWatchWithoutAMark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		gone bool
		err  error
		want revocation.Cause
		at   time.Duration // by then
		asks int           // at most
	}{
		{"the record lives: not cut, and asked once", false, nil, "", grace + time.Minute, 1},
		{"the record is gone: cut at once", true, nil, revocation.Revoked, onePull, 1},
		{"the store cannot say: cut after the grace", false, store.ErrUnavailable, revocation.LeaseLost, grace, 60},
		{"the record is damaged: cut after the grace", false, store.ErrCorrupt, revocation.LeaseLost, grace, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := follow(t, l)
				l.change(func() {
					l.gone["jti-one"] = c.gone
					l.take = func(_ context.Context, jti string) (store.Taken, error) {
						if c.err != nil {
							return store.Taken{}, c.err
						}
						return l.look(0, jti)
					}
				})
				w := f.Watch("jti-one", names(f, 0, "one"), nil, time.Now().Add(far))
				defer w.Stop()
				pass(c.at - time.Nanosecond)
				if c.want == revocation.LeaseLost && cutBy(w) != "" {
					t.Errorf("cut by %s within the grace", cutBy(w))
				}
				pass(time.Nanosecond)
				if cutBy(w) != c.want || l.asks > c.asks || l.asks == 0 {
					t.Errorf("cut by %q after %d questions, want %q after 1 to %d", cutBy(w), l.asks, c.want, c.asks)
				}
			})
		})
	}
}

// TestWatchAsksNothingOfAStoreThatIsAway: when it is back, every edge would ask about every stream at once.
func TestWatchAsksNothingOfAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.shards[0].err = store.ErrUnavailable
		f := follow(t, l)
		w := f.Watch("jti-one", names(f, 0, "one"), nil, time.Now().Add(far))
		defer w.Stop()
		pass(grace - time.Nanosecond)
		if cutBy(w) != "" || l.asks > 0 {
			t.Errorf("cut by %q, %d questions; want neither within the grace", cutBy(w), l.asks)
		}
		pass(time.Nanosecond)
		if cutBy(w) != revocation.LeaseLost {
			t.Errorf("cut by %q, want lease_lost", cutBy(w))
		}
	})
}

// TestWatchOfADamagedRecord: nobody knows whether its grant lives, and that says nothing about the others.
func TestWatchOfADamagedRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		damaged := map[string]bool{}
		l.change(func() {
			l.take = func(_ context.Context, jti string) (store.Taken, error) {
				if damaged[jti] {
					return store.Taken{}, store.ErrCorrupt
				}
				return l.look(0, jti)
			}
		})
		ws := make([]*revocation.Watch, 200)
		for i := range ws {
			grant := fmt.Sprint(i)
			damaged["jti-"+grant] = i%2 == 0
			ws[i] = f.Watch("jti-"+grant, names(f, 0, grant), nil, time.Now().Add(far))
			defer ws[i].Stop()
		}
		pass(2 * onePull)
		if got, want := f.Doubted(), 100; got != want {
			t.Errorf("after a round %d are in doubt, want the %d damaged ones", got, want)
		}
		pass(grace)
		for i, w := range ws {
			if want := map[bool]revocation.Cause{true: revocation.LeaseLost}[i%2 == 0]; cutBy(w) != want {
				t.Errorf("stream %d, damaged %t, is cut by %q, want %q", i, i%2 == 0, cutBy(w), want)
			}
		}
	})
}

// TestWatchOfAGrantRevokedOnTheWay: the entry is applied after the answer was kept and before the watch begins.
func TestWatchOfAGrantRevokedOnTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		k := keep(t, f, l, 0, "one")
		l.revoke(0, store.KindToken, "jti-one")
		pass(onePull)
		w := f.Watch("jti-one", k.n, &k.mark, time.Now().Add(far))
		defer w.Stop()
		pass(onePull)
		if cutBy(w) != revocation.Revoked {
			t.Errorf("cut by %q, want revoked", cutBy(w))
		}
	})
}

func TestWatchAfterAGapInTheLog(t *testing.T) {
	t.Parallel()
	for name, gap := range map[string]func(l *fakeLog){
		"a flush":                       func(l *fakeLog) { l.change(func() { l.shards[0].incarnation, l.shards[0].log = "second", nil }) },
		"everything before a time":      func(l *fakeLog) { l.revoke(0, store.KindBefore, "1800000000") },
		"an entry of unknown kind":      func(l *fakeLog) { l.revoke(0, "of-a-later-version", "x") },
		"a torn answer, then the flush": func(l *fakeLog) { l.tearOnce(); l.revoke(0, store.KindToken, "x"); l.revoke(0, store.KindToken, "y") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const streams = 100
				l := newFakeLog(1)
				l.revoke(0, store.KindToken, "a")
				f := follow(t, l)
				ws := make([]*revocation.Watch, streams)
				for i := range ws {
					ws[i] = watch(t, f, l, 0, fmt.Sprint(i), far)
				}
				var now, most atomic.Int32
				l.change(func() {
					l.gone["jti-7"] = true
					l.take = func(_ context.Context, jti string) (store.Taken, error) {
						most.Store(max(most.Load(), now.Add(1)))
						time.Sleep(time.Millisecond)
						now.Add(-1)
						return l.look(0, jti)
					}
				})
				gap(l)
				pass(2 * onePull)
				if cutBy(ws[7]) != revocation.Revoked {
					t.Errorf("the stream whose record is gone is cut by %q, want revoked", cutBy(ws[7]))
				}
				pass(time.Minute)
				for i, w := range ws {
					if i != 7 && cutBy(w) != "" {
						t.Errorf("stream %d, whose record lives, is cut by %s", i, cutBy(w))
					}
				}
				if l.asks < streams || l.asks > streams*2 || most.Load() > 16 {
					t.Errorf("%d questions about %d streams, %d at a time; want one or two each, 16 at a time", l.asks, streams, most.Load())
				}
			})
		})
	}
}

// tearOnce leaves the first entry out of the next answer that has any.
func (l *fakeLog) tearOnce() {
	l.change(func() {
		l.edit = func(p *store.Pulled) {
			p.Entries = p.Entries[1:]
			l.edit = nil // under mu already
		}
	})
}

// TestWatchCountsTheGraceFromTheLastLease: a flush that comes late gives no second grace.
func TestWatchCountsTheGraceFromTheLastLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.revoke(0, store.KindToken, "a")
		f := follow(t, l)
		w := watch(t, f, l, 0, "one", far)
		l.change(func() {
			l.shards[0].err = store.ErrUnavailable
			l.take = func(context.Context, string) (store.Taken, error) { return store.Taken{}, store.ErrUnavailable }
		})
		pass(f.Left(0, time.Now()) + grace - time.Second)
		l.change(func() { l.shards[0].err, l.shards[0].incarnation, l.shards[0].log = nil, "second", nil })
		pass(time.Second - time.Nanosecond)
		if f.Left(0, time.Now()) <= 0 || cutBy(w) != "" {
			t.Fatalf("lease of %v, cut by %q; want a lease again, and no cut yet", f.Left(0, time.Now()), cutBy(w))
		}
		pass(time.Nanosecond)
		if cutBy(w) != revocation.LeaseLost {
			t.Errorf("a grace after the last lease before the flush, cut by %q, want lease_lost", cutBy(w))
		}
	})
}

// TestWatchIsNotConfirmedByAnOvertakenAnswer: the store says that the record lives, and while the answer travels another
// gap comes. Only an answer from after it counts.
func TestWatchIsNotConfirmedByAnOvertakenAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		travel := make(chan struct{})
		l.change(func() {
			l.take = func(_ context.Context, jti string) (store.Taken, error) {
				a, err := l.look(0, jti)
				<-travel
				return a, err
			}
		})
		w := f.Watch("jti-one", names(f, 0, "one"), nil, time.Now().Add(far))
		defer w.Stop()
		pass(onePull)
		l.change(func() { l.gone["jti-one"] = true })
		l.revoke(0, store.KindBefore, "1800000000")
		pass(onePull)
		close(travel)
		synctest.Wait()
		if cutBy(w) != "" {
			t.Fatalf("cut by %s though the store has not said so yet", cutBy(w))
		}
		pass(onePull)
		if cutBy(w) != revocation.Revoked {
			t.Errorf("cut by %q, want revoked: the answer from before the gap says nothing about it", cutBy(w))
		}
	})
}
