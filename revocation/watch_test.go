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

// watch watches a grant that is kept, for as long as the test runs.
func watch(t *testing.T, f *revocation.Follower, l *fakeLog, shard int, grant string, life time.Duration) *revocation.Watch {
	t.Helper()
	k := keep(t, f, l, shard, grant)
	w := f.Watch("jti-"+grant, k.n, &k.mark, time.Now().Add(life))
	t.Cleanup(w.Stop)
	return w
}

// cutBy says why w was cut; empty: it was not.
func cutBy(w *revocation.Watch) revocation.Cause {
	select {
	case <-w.Done():
		return w.Cause()
	default:
		if c := w.Cause(); c != "" {
			return "a cause of a watch that is not cut: " + c
		}
		return ""
	}
}

func TestWatchIsCutByEachKind(t *testing.T) {
	t.Parallel()
	for kind, name := range map[store.Kind]string{
		store.KindToken: "jti-one", store.KindFamily: "family-one", store.KindClient: "client-one",
		store.KindSubject: "subject-one", store.KindKey: "key-one",
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(2)
				f := follow(t, l)
				one, two, elsewhere := watch(t, f, l, 0, "one", far), watch(t, f, l, 0, "two", far), watch(t, f, l, 1, "one", far)
				pass(time.Minute)
				if cutBy(one) != "" {
					t.Fatalf("cut by %s before anything was revoked", cutBy(one))
				}
				l.revoke(0, kind, name)
				pass(onePull)
				if cutBy(one) != revocation.Revoked || cutBy(two) != "" || cutBy(elsewhere) != "" {
					t.Errorf("cut by %q, %q, %q; want only the first, revoked", cutBy(one), cutBy(two), cutBy(elsewhere))
				}
				if l.asks > 0 {
					t.Errorf("the store was asked %d times, want none: the log has no gap", l.asks)
				}
			})
		})
	}
}

// TestWatchIsNotCutByANeighbour: a cache may forget a stranger, a stream may not be cut for one.
func TestWatchIsNotCutByANeighbour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		named := keep(t, f, l, 0, "one")
		k := &kept{f: f, n: revocation.Neighbour(named.n)}
		answer, _ := l.look(0, "jti-neighbour")
		if !f.Keep(&k.mark, answer, &k.n) {
			t.Fatal("not kept")
		}
		w := f.Watch("jti-neighbour", k.n, &k.mark, time.Now().Add(far))
		defer w.Stop()
		l.revoke(0, store.KindToken, "jti-one")
		pass(onePull)
		if k.holds() || cutBy(w) != "" {
			t.Errorf("what shares a place with what was revoked holds: %t, its watch is cut by %q; want false and no cut", k.holds(), cutBy(w))
		}
	})
}

func TestWatchIsCutAtExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		late := watch(t, f, l, 0, "late", 0)
		if cutBy(late) != revocation.Expired {
			t.Errorf("a watch of an expired grant is cut by %q, want expired at once", cutBy(late))
		}
		w := watch(t, f, l, 0, "one", 90*time.Second)
		pass(90*time.Second - time.Nanosecond)
		if cutBy(w) != "" {
			t.Errorf("cut by %s before expiry", cutBy(w))
		}
		pass(time.Nanosecond)
		if cutBy(w) != revocation.Expired {
			t.Errorf("at expiry cut by %q, want expired", cutBy(w))
		}
	})
}

func TestWatchIsCutAfterASuspendBeyondExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := newFollower(t, revocation.FollowerConfig{Log: l, StreamGrace: grace})
		hold := make(chan struct{})
		l.before = func(_ context.Context, nth int) {
			if nth == 2 {
				<-hold
			}
		}
		run(t, f)
		pass(onePull)
		w := watch(t, f, l, 0, "one", far)
		f.ShiftWall(2 * far)
		close(hold)
		pass(grace + leaseLength)
		if cutBy(w) != revocation.Expired {
			t.Errorf("suspended beyond its expiry, awake for a grace and a lease: cut by %q, want expired", cutBy(w))
		}
	})
}

func TestWatchOutlivesALostLeaseByTheGrace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		back time.Duration // after the lease ended
		want revocation.Cause
	}{
		{"the lease stays away: cut", time.Hour, revocation.LeaseLost},
		{"the lease comes back in time: not cut", grace - time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := follow(t, l)
				w := watch(t, f, l, 0, "one", far)
				pass(time.Minute)
				l.change(func() { l.shards[0].err = store.ErrUnavailable })
				pass(f.Left(0, time.Now()))
				time.AfterFunc(c.back, func() { l.change(func() { l.shards[0].err = nil }) })
				pass(grace - time.Nanosecond)
				if cutBy(w) != "" {
					t.Errorf("cut by %s within the grace", cutBy(w))
				}
				pass(time.Nanosecond)
				if cutBy(w) != c.want {
					t.Errorf("a grace after the lease had ended cut by %q, want %q", cutBy(w), c.want)
				}
			})
		})
	}
}

func TestWatchStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		k := keep(t, f, l, 0, "one")
		ws := []*revocation.Watch{
			f.Watch("jti-one", k.n, &k.mark, time.Now().Add(far)),
			f.Watch("jti-one", k.n, &k.mark, time.Now().Add(onePull/2)),
			f.Watch("jti-one", k.n, nil, time.Now().Add(far)),
		}
		if f.Watched() == 0 {
			t.Fatal("nothing is watched")
		}
		for _, w := range ws {
			w.Stop()
		}
		l.revoke(0, store.KindToken, "jti-one")
		pass(time.Minute)
		for i, w := range ws {
			if cutBy(w) != "" {
				t.Errorf("watch %d is cut by %s after Stop", i, cutBy(w))
			}
		}
		if f.Watched() != 0 {
			t.Errorf("%d entries about watches are left after Stop", f.Watched())
		}
	})
}

// TestWatchIsCutOnce lets everything that can cut a watch happen in the same instant, and Stop with it.
func TestWatchIsCutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		var ws []*revocation.Watch
		for i := range 200 {
			k := keep(t, f, l, 0, fmt.Sprint(i%10))
			ws = append(ws, f.Watch(fmt.Sprint("jti-", i%10), k.n, &k.mark, time.Now().Add(onePull*time.Duration(i)/200)))
		}
		for i := range 10 {
			l.revoke(0, store.KindToken, fmt.Sprint("jti-", i))
			l.revoke(0, store.KindBefore, "1800000000")
		}
		for _, w := range ws[:100] {
			go w.Stop()
		}
		pass(time.Minute)
		for i, w := range ws[100:] {
			if c := cutBy(w); c != revocation.Revoked && c != revocation.Expired {
				t.Errorf("watch %d is cut by %q, want revoked or expired", 100+i, c)
			}
			w.Stop()
		}
		if f.Watched() != 0 {
			t.Errorf("%d watches are left", f.Watched())
		}
	})
}
