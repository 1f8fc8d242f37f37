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

const onePull = leaseLength * 11 / 40 // at most so long until the next pull is applied

func TestMarkOfAnAnswerThatCrossedARevocation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		keepBefore     bool // the follower applies the revocation
		wantKept, hold bool
	}{
		{"the log is applied first: the answer is not kept", false, false, false},
		{"the answer is kept first: the log drops it", true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := follow(t, l)
				answer, _ := l.look(0, "jti-one") // and travels
				l.revoke(0, store.KindToken, "jti-one")
				n, m := names(f, 0, "one"), revocation.Mark{}
				kept := false
				if c.keepBefore {
					kept = f.Keep(&m, answer, &n)
				}
				pass(onePull)
				if !c.keepBefore {
					kept = f.Keep(&m, answer, &n)
				}
				if holds := f.Holds(&m, &n, time.Now()); kept != c.wantKept || holds != c.hold {
					t.Errorf("kept %t, holds %t; want %t, %t", kept, holds, c.wantKept, c.hold)
				}
			})
		})
	}
}

// TestMarkOfAnAnswerThatIsAhead: the store may be ahead of what has been pulled. Such an answer is kept, and what is
// pulled later drops it only if it names it.
func TestMarkOfAnAnswerThatIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		l.revoke(0, store.KindToken, "jti-stranger")
		k := keep(t, f, l, 0, "one")
		pass(onePull)
		if f.Since(0).Seq != 1 || !k.holds() {
			t.Errorf("applied up to %d, holds: %t; want 1, true", f.Since(0).Seq, k.holds())
		}
		if !f.Compared(&k.mark, 0) {
			t.Error("its counts are compared on every request until the next entry, want once")
		}
	})
}

func TestMarkOfAnotherIncarnation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := newFollower(t, revocation.FollowerConfig{Log: l})
		n, m := names(f, 0, "one"), revocation.Mark{}
		answer, _ := l.look(0, "jti-one")
		if f.Keep(&m, answer, &n) || f.Keep(&m, store.Taken{}, &n) {
			t.Error("an answer was kept before the log had been read")
		}
		run(t, f)
		synctest.Wait()
		if f.Holds(&m, &n, time.Now()) {
			t.Error("a mark that was never set holds")
		}
		other := answer
		other.Incarnation, other.Seq = "another", 1000
		elsewhere := answer
		elsewhere.Shard = 1
		if f.Keep(&m, other, &n) || f.Keep(&m, elsewhere, &n) {
			t.Error("an answer of another incarnation, or another shard, was kept")
		}
		if !f.Keep(&m, answer, &n) || !f.Holds(&m, &n, time.Now()) {
			t.Error("an answer of this incarnation was not kept")
		}
	})
}

// TestMarkThatWasNeverSet does not hold, even if nothing has ever been named.
func TestMarkThatWasNeverSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.shards[0].blank = true
		f := follow(t, l)
		n, m := names(f, 0, "one"), revocation.Mark{}
		if f.Left(0, time.Now()) <= 0 || f.Holds(&m, &n, time.Now()) {
			t.Errorf("with a lease of %v a mark that was never set holds", f.Left(0, time.Now()))
		}
	})
}

func TestMarkAfterAFlushAndAfterAReopening(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*fakeShard)
		holds  bool
	}{
		{"opened anew with all that there was: kept answers go on", func(s *fakeShard) { s.incarnation = "second" }, true},
		{"the last entry is another: all is forgotten", func(s *fakeShard) { s.incarnation, s.log[1].ID = "second", "another" }, false},
		{"the last entry is lost: all is forgotten", func(s *fakeShard) { s.log = s.log[:1] }, false},
		{"emptied: all is forgotten", func(s *fakeShard) { s.incarnation, s.log = "second", nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(2)
				l.revoke(0, store.KindToken, "a")
				l.revoke(0, store.KindToken, "b")
				f := follow(t, l)
				k, other := keep(t, f, l, 0, "one"), keep(t, f, l, 1, "two")
				old, _ := l.look(0, "jti-one")
				l.change(func() { c.change(l.shards[0]) })
				pass(onePull)
				if k.holds() != c.holds || !other.holds() {
					t.Errorf("kept answers hold: %t, and of the other shard %t; want %t, true", k.holds(), other.holds(), c.holds)
				}
				if got := f.Since(0); got.Incarnation != l.shards[0].incarnation || got.Seq != l.shards[0].head().Seq {
					t.Errorf("Since = %v, want that of the shard now", got)
				}
				if m := (revocation.Mark{}); l.shards[0].incarnation == "second" && f.Keep(&m, old, &k.n) {
					t.Error("an answer from before was kept after")
				}
				if again := keep(t, f, l, 0, "one"); !again.holds() {
					t.Error("an answer from after does not hold")
				}
			})
		})
	}
}

func TestMarkOfEachKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind store.Kind
		name string
		all  bool
	}{
		{store.KindToken, "jti-one", false},
		{store.KindFamily, "family-one", false},
		{store.KindClient, "client-one", false},
		{store.KindSubject, "subject-one", false},
		{store.KindKey, "key-one", false},
		{store.KindBefore, "1800000000", true},
		{"of-a-later-version", "x", true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(2)
				f := follow(t, l)
				one, two, elsewhere := keep(t, f, l, 0, "one"), keep(t, f, l, 0, "two"), keep(t, f, l, 1, "one")
				l.revoke(0, c.kind, c.name)
				pass(onePull)
				if one.holds() || two.holds() == c.all || !elsewhere.holds() {
					t.Errorf("%s %s: the named one holds: %t, a neighbour %t, its twin on another shard %t; want false, %t, true",
						c.kind, c.name, one.holds(), two.holds(), elsewhere.holds(), !c.all)
				}
				if again := keep(t, f, l, 0, "two"); !again.holds() {
					t.Error("what is kept after it does not hold")
				}
				if got, want := f.KeyRevoked("key-one"), c.kind == store.KindKey; got != want {
					t.Errorf("KeyRevoked(key-one) = %t, want %t", got, want)
				}
			})
		})
	}
}

// TestMarkIsNotOfAnotherKind: names of one kind say nothing about those of another, though the text be the same.
func TestMarkIsNotOfAnotherKind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		k := keep(t, f, l, 0, "one")
		all := []store.Kind{store.KindToken, store.KindFamily, store.KindClient, store.KindSubject, store.KindKey}
		for i, name := range []string{"jti-one", "family-one", "client-one", "subject-one", "key-one"} {
			for j, kind := range all {
				if i != j {
					l.revoke(0, kind, name)
				}
			}
		}
		pass(onePull)
		if f.Since(0).Seq != 20 || !k.holds() {
			t.Errorf("applied %d, holds: %t; want 20, true", f.Since(0).Seq, k.holds())
		}
	})
}

func TestKeyRevokedIsLearntFromAFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.shards[0].keys = []string{"old"}
		f := follow(t, l)
		if !f.KeyRevoked("old") || f.KeyRevoked("new") {
			t.Errorf("KeyRevoked: old %t, new %t; want true, false", f.KeyRevoked("old"), f.KeyRevoked("new"))
		}
		l.change(func() { l.shards[0].keys, l.shards[0].incarnation = []string{"new"}, "second" })
		l.revoke(0, store.KindToken, "a")
		pass(onePull)
		l.change(func() { l.shards[0].log = nil })
		pass(onePull)
		if !f.KeyRevoked("old") || !f.KeyRevoked("new") {
			t.Errorf("after a flush KeyRevoked: old %t, new %t; want both: what was revoked once stays so", f.KeyRevoked("old"), f.KeyRevoked("new"))
		}
	})
}

// TestMarksSurviveABurstOfStrangers revokes 10,000 names of one kind beside grants that have nothing to do with them.
func TestMarksSurviveABurstOfStrangers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind         store.Kind
		grants, most int
	}{
		{store.KindToken, 100_000, 1500},
		{store.KindFamily, 10_000, 300},
		{store.KindSubject, 10_000, 300},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := follow(t, l)
				answer, _ := l.look(0, "any")
				kept := make([]kept, c.grants)
				for i := range kept {
					k := &kept[i]
					k.f, k.n = f, f.Names(0, fmt.Sprint("jti-", i), fmt.Sprint("family-", i), fmt.Sprint("client-", i%100), fmt.Sprint("subject-", i), "key")
					if !f.Keep(&k.mark, answer, &k.n) {
						t.Fatal("not kept")
					}
				}
				for i := range 10_000 {
					l.revoke(0, c.kind, fmt.Sprint("stranger-", i))
				}
				pass(onePull)
				dropped := 0
				for i := range kept {
					if !kept[i].holds() {
						dropped++
					}
				}
				t.Logf("10,000 of kind %s dropped %d of %d unrelated grants (%.2f %%)", c.kind, dropped, c.grants, float64(dropped)*100/float64(c.grants))
				if f.Since(0).Seq != 10_000 || dropped > c.most {
					t.Errorf("applied %d, dropped %d; want 10,000 and at most %d", f.Since(0).Seq, dropped, c.most)
				}
			})
		})
	}
}

// TestMarksUnderConcurrency keeps, uses and revokes at the same time, in real time and under the race detector. What has
// been applied never holds again, whenever its answer had been given.
func TestMarksUnderConcurrency(t *testing.T) {
	t.Parallel()
	const grants = 200
	l := newFakeLog(1)
	l.shards[0].lease = 20 * time.Millisecond
	f := newFollower(t, revocation.FollowerConfig{Log: l})
	run(t, f)
	within(t, "a lease", func() bool { return f.Ready() == nil })

	revoked := make(chan struct{}, grants) // one for each grant: closed over below
	users := make([]chan struct{}, grants)
	for i := range users {
		users[i] = make(chan struct{})
		go func() { // fills with an answer from before its revocation, again and again
			defer func() { revoked <- struct{}{} }()
			grant := fmt.Sprint(i)
			answer, _ := l.look(0, "jti-"+grant)
			n := names(f, 0, grant)
			for {
				var applied bool
				select {
				case <-users[i]:
					applied = true
				default:
				}
				var m revocation.Mark
				kept := f.Keep(&m, answer, &n)
				if applied && (kept || f.Holds(&m, &n, time.Now())) {
					t.Errorf("grant %s: an answer from before its revocation was kept after that had been applied", grant)
				}
				if applied {
					return
				}
				for range 10 {
					f.Holds(&m, &n, time.Now())
				}
				time.Sleep(time.Microsecond)
			}
		}()
	}
	for i := range users {
		k := keep(t, f, l, 0, fmt.Sprint(i))
		l.revoke(0, store.KindToken, fmt.Sprint("jti-", i))
		if i%10 == 9 {
			within(t, "the log applied", func() bool { return f.Since(0).Seq > uint64(i) })
			if k.holds() {
				t.Errorf("grant %d is revoked, applied, and holds", i)
			}
			for j := i - 9; j <= i; j++ {
				close(users[j])
			}
		}
	}
	for range users {
		<-revoked
	}
}

// within waits for something that happens on other goroutines.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("20 s without %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}
