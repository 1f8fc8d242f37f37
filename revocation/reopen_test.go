package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	me := self{issuer: "a", issuers: []string{"a", "b"}, journal: "J", sent: 10, seen: "I"}
	overdue, stopped := me, me
	overdue.overdue, stopped.stopped = true, true
	voted := func(votes ...string) map[string]bool {
		m := map[string]bool{}
		for _, v := range votes {
			m[v] = true
		}
		return m
	}
	for name, c := range map[string]struct {
		s    store.Shard
		me   self
		want step
	}{
		"open and enrolled":                           {store.Shard{Open: true, Journal: "J", Done: 10}, me, work},
		"open, nobody enrolled":                       {store.Shard{Open: true}, me, enrol},
		"open, an older journal of ours":              {store.Shard{Open: true, Journal: "K", Incarnation: "II"}, me, enrol},
		"open, another took our place":                {store.Shard{Open: true, Journal: "K", Incarnation: "I"}, me, stop},
		"stopped stays stopped":                       {store.Shard{Open: true, Journal: "K", Incarnation: "II"}, stopped, stop},
		"stopped, and closed":                         {store.Shard{Journal: "K"}, stopped, stop},
		"stopped until the other has gone":            {store.Shard{Open: true, Journal: "J", Done: 9}, stopped, work},
		"stopped until the store is new":              {store.Shard{Open: true}, stopped, enrol},
		"a number that was never sent":                {store.Shard{Open: true, Journal: "J", Done: 11}, me, stop},
		"closed, with a number that was never sent":   {store.Shard{Journal: "J", Done: 11}, me, stop},
		"closed and enrolled":                         {store.Shard{Journal: "J", Done: 4}, me, replay},
		"closed, nobody enrolled":                     {store.Shard{}, me, gap},
		"closed, an older journal of ours":            {store.Shard{Journal: "K", Incarnation: "I"}, me, gap},
		"closed and empty":                            {store.Shard{Empty: true}, me, reopen},
		"this issuer has voted":                       {store.Shard{Journal: "J", Votes: voted("a")}, me, wait},
		"this issuer has voted, the other is missing": {store.Shard{Journal: "J", Votes: voted("a")}, overdue, reopen},
		"the other has voted":                         {store.Shard{Journal: "J", Votes: voted("b")}, me, replay},
		"overdue, but this issuer has not voted":      {store.Shard{Journal: "J"}, overdue, replay},
		"a stranger has voted":                        {store.Shard{Journal: "J", Votes: voted("a", "c")}, me, wait},
		"all have voted":                              {store.Shard{Journal: "J", Votes: voted("a", "b")}, me, reopen},
	} {
		if got := next(c.s, c.me); got != c.want {
			t.Errorf("%s: next(%+v, %+v) = %s, want %s", name, c.s, c.me, got, c.want)
		}
	}
}

// TestARestartWithAllData is over within a second, and ends no grant.
func TestARestartWithAllData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewShardedMemory(4)}
		a := start(t, way, newFragile(), "a", RevokerConfig{}, "b")
		b := start(t, way, newFragile(), "b", RevokerConfig{}, "a")
		ready(t, a, b)
		grants := []string{issue(t, way.Memory), issue(t, way.Memory), issue(t, way.Memory)}
		gone := issue(t, way.Memory)
		a.revoke(token(gone))
		way.openings()
		for _, wake := range []func(){func() {}, func() { go func() { _, _ = a.Revoke(t.Context(), token("wakes-the-worker")) }() }} {
			way.Restart()
			begin := time.Now()
			wake()
			within(t, 3*time.Second, func() error { return errors.Join(a.open(), b.open()) })
			if took := time.Since(begin); took > time.Second {
				t.Errorf("open again after %v", took)
			}
			if got := way.openings(); len(got) != 4 || slices.Contains(got, true) {
				t.Errorf("openings ended grants: %v, want four times false", got)
			}
		}
		for _, jti := range grants {
			lives(t, way.Memory, jti, true)
		}
		lives(t, way.Memory, gone, false)
		a.logs("shard is closed", "shard opened: nothing is missing", "shard is open")
	})
}

// open says whether the shards are open, by the store and by Ready.
func (p *process) open() error {
	for shard := range p.config.Shards.Shards() {
		if s, err := p.config.Shards.Shard(p.t.Context(), shard, p.config.Issuer); err != nil || !s.Open {
			return fmt.Errorf("shard %d open: %v, %w", shard, s.Open, err)
		}
	}
	return p.Ready()
}

// TestASnapshotWhoseGapTheJournalsClose: grants of before live on, what either issuer revoked since does not come back.
func TestASnapshotWhoseGapTheJournalsClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewShardedMemory(2)}
		a := start(t, way, newFragile(), "a", RevokerConfig{}, "b")
		b := start(t, way, newFragile(), "b", RevokerConfig{}, "a")
		ready(t, a, b)
		live, one, two, three := issue(t, way.Memory), issue(t, way.Memory), issue(t, way.Memory), issue(t, way.Memory)
		a.revoke(token(one))
		old := way.Snapshot()
		a.revoke(token(two))
		b.revoke(token(three))
		b.revoke(ends(Subject, "nobody", time.Now().Add(time.Hour)))
		way.openings()
		way.set(nil, func(_ context.Context, op string, shard int) error {
			for _, jti := range []string{one, two, three} { // from the first moment
				if op == "open" && way.ShardOf(jti) == shard {
					lives(t, way.Memory, jti, false)
				}
			}
			return nil
		})
		way.Restore(old)
		within(t, 3*time.Second, func() error { return errors.Join(a.open(), b.open()) })
		if got := way.openings(); len(got) != 2 || slices.Contains(got, true) {
			t.Errorf("openings ended grants: %v, want twice false", got)
		}
		lives(t, way.Memory, live, true)
		for _, jti := range []string{one, two, three} {
			lives(t, way.Memory, jti, false)
		}
	})
}

// TestASnapshotAndALostJournal: nobody knows any more what the second issuer revoked.
func TestASnapshotAndALostJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		a := start(t, way, newFragile(), "a", RevokerConfig{}, "b")
		b := start(t, way, newFragile(), "b", RevokerConfig{}, "a")
		ready(t, a, b)
		live, gone := issue(t, way.Memory), issue(t, way.Memory)
		old := way.Snapshot()
		b.revoke(token(gone))
		b.kill()
		way.openings()
		way.Restore(old)
		b = start(t, way, newFragile(), "b", RevokerConfig{}, "a")
		within(t, 3*time.Second, func() error { return errors.Join(a.open(), b.open()) })
		if got := way.openings(); !slices.Equal(got, []bool{true}) {
			t.Errorf("openings ended grants: %v, want once true", got)
		}
		lives(t, way.Memory, live, false)
		lives(t, way.Memory, gone, false)
		lives(t, way.Memory, issue(t, way.Memory), true)
		b.revoke(token("works"))
		if !strings.Contains(a.log.String()+b.log.String(), "issuers_not_enrolled=b") {
			t.Errorf("no log says whose journal was missing:\n%s\n%s", a.log, b.log)
		}
	})
}

// TestAnIssuerLeavesTheList: what it acknowledged is in no journal any more.
func TestAnIssuerLeavesTheList(t *testing.T) {
	t.Parallel()
	for away, ended := range map[time.Duration]bool{time.Second: true, 25 * time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			way := &wire{Memory: store.NewMemory()}
			a := start(t, way, newFragile(), "a", RevokerConfig{}, "b")
			b := start(t, way, newFragile(), "b", RevokerConfig{}, "a")
			ready(t, a, b)
			gone := issue(t, way.Memory)
			old := way.Snapshot()
			b.revoke(token(gone))
			b.kill()
			a = a.again() // the list is now {a}
			ready(t, a)
			time.Sleep(away)
			way.openings()
			way.Restore(old)
			within(t, 3*time.Second, a.open)
			if got := way.openings(); !slices.Equal(got, []bool{ended}) {
				t.Errorf("%v after the last of b: openings ended grants: %v, want once %v", away, got, ended)
			}
			lives(t, way.Memory, gone, false)
		})
	}
}

// TestAnIssuerIsMissing: the shard stays closed for Missing, then it opens without him.
func TestAnIssuerIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		a := start(t, way, newFragile(), "a", RevokerConfig{}, "b")
		ready(t, a)
		live := issue(t, way.Memory)
		way.Restart()
		begin := time.Now()
		time.Sleep(28 * time.Second)
		_, err := a.refused(ends(Key, "leaked", time.Now()))
		if time.Since(begin) != 30*time.Second || !strings.Contains(err.Error(), "waiting for b to vote") {
			t.Errorf("error after %v: %v, want who is waited for", time.Since(begin), err)
		}
		within(t, 2*time.Second, a.open)
		lives(t, way.Memory, live, false)
		a.revoke(token("works"))
		a.logs("issuers_missing=b", "earlier grants have ended")
	})
}

// TestAnOpeningThatComesToNothing is tried again, but not as fast as the store can refuse it.
func TestAnOpeningThatComesToNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way, tries := &wire{Memory: store.NewMemory()}, 0
		way.set(func(_ context.Context, op string, _ int) error {
			if op != "open" {
				return nil
			}
			tries++
			return store.ErrConflict
		}, nil)
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		time.Sleep(time.Second)
		synctest.Wait()
		if tries < 5 || tries > 25 {
			t.Errorf("%d attempts within a second", tries)
		}
		way.set(nil, nil)
		ready(t, p)
	})
}

// TestRevokedWhileClosed counts once the shard is open.
func TestRevokedWhileClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		a := start(t, way, newFragile(), "a", RevokerConfig{Missing: time.Second}, "b")
		ready(t, a)
		jti := issue(t, way.Memory)
		way.Restart()
		time.Sleep(lookEvery + time.Millisecond) // it has been seen
		wants(t, "Ready while closed is nil", a.Ready() == nil, false)
		begin := time.Now()
		if r := a.revoke(token(jti)); r.Found != 1 || r.Seq[0] == 0 {
			t.Errorf("receipt %+v, want it found, and a position", r)
		}
		if took := time.Since(begin); took < over(testLease) || took > patience {
			t.Errorf("answered after %v", took)
		}
	})
}

// TestAnEmptiedStore opens at once; keys that were revoked stay so, and earlier grants stay away.
func TestAnEmptiedStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		a := start(t, way, newFragile(), "a", RevokerConfig{}, "b") // b never starts
		ready(t, a)
		gone := issue(t, way.Memory)
		a.revoke(ends(Key, "kid-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", time.Now().Add(-time.Hour)))
		way.Clear()
		begin := time.Now()
		within(t, 2*time.Second, a.open)
		if took := time.Since(begin); took > lookEvery+50*time.Millisecond {
			t.Errorf("open again after %v", took)
		}
		within(t, time.Second, func() error { // the replay
			if p := way.Pull(t.Context(), []store.Position{{}}, ""); !slices.Contains(p[0].Keys, "kid-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs") {
				return fmt.Errorf("revoked keys: %v", p[0].Keys)
			}
			return nil
		})
		a.revoke(token("works"))
		lives(t, way.Memory, gone, false)
		a.logs("empty=true", "journal enrolled")
	})
}

// TestTwoIssuersUnderOneName: the first stops, and says what to do. Whatever either acknowledges is done.
func TestTwoIssuersUnderOneName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		first := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, first)
		second := start(t, way, newFragile(), "a", RevokerConfig{})
		time.Sleep(2 * lookEvery)
		ready(t, second)
		if err := first.Ready(); err == nil || !strings.Contains(err.Error(), "two issuers run under one name") {
			t.Errorf("Ready of the first: %v, want what is wrong and what to do", err)
		}
		jti := issue(t, way.Memory)
		first.refused(token(jti))
		lives(t, way.Memory, jti, true)
		second.revoke(token("works"))
		way.Restart()
		within(t, 3*time.Second, second.open)
		first.refused(token(jti))
	})
}

// TestTwoProcessesWithCopiesOfOneJournal: the shard takes each number once, so the same number for two revocations would
// lose one that was acknowledged.
func TestTwoProcessesWithCopiesOfOneJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		first := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, first)
		first.revoke(token("a"))
		first.kill()
		disk := first.disk
		one := start(t, way, disk.copy(), "a", RevokerConfig{})
		two := start(t, way, disk.copy(), "a", RevokerConfig{})
		ready(t, one, two)
		if one.config.Journal.last < two.config.Journal.last {
			one, two = two, one
		}
		// Before either has looked again: the shard has higher numbers than the second's, and takes it for done.
		go func() { _, _ = one.Revoke(t.Context(), token("a")) }()
		synctest.Wait()
		jti := issue(t, way.Memory)
		two.refused(token(jti))
		lives(t, way.Memory, jti, true)
		acked, refused := 0, 0
		for range 20 {
			for _, p := range []*process{one, two} {
				jti := issue(t, way.Memory)
				if _, err := p.Revoke(t.Context(), token(jti)); err != nil {
					refused++
					continue
				}
				acked++
				lives(t, way.Memory, jti, false)
			}
		}
		if acked == 0 || refused == 0 || one.Ready() == nil && two.Ready() == nil {
			t.Errorf("%d acknowledged, %d refused, Ready %v and %v; want one that goes on and one that stops", acked, refused, one.Ready(), two.Ready())
		}
	})
}

// TestAnOldCopyOfTheJournal: it lacks what it once acknowledged, and its next numbers are taken.
func TestAnOldCopyOfTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		p.revoke(token("a"))
		copied := p.disk.copy()
		p.revoke(token("b"))
		p.kill()
		p = start(t, way, copied, "a", RevokerConfig{})
		_, err := p.refused(token(issue(t, way.Memory)))
		if !strings.Contains(err.Error(), "old copy") || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("error %v, want what is wrong and what to do", err)
		}
		way.Restart()
		time.Sleep(2 * time.Second)
		if p.open() == nil {
			t.Error("an old copy has opened the shard")
		}
	})
}

// TestANewJournalIsEnrolled: what it knows is brought in again from its beginning, and from then on it vouches.
func TestANewJournalIsEnrolled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		p.revoke(token("a"))
		p.kill()
		p = start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		p.logs("journal enrolled", "instead_of=")
		live, gone := issue(t, way.Memory), issue(t, way.Memory)
		old := way.Snapshot()
		p.revoke(token(gone))
		way.Restore(old)
		within(t, 3*time.Second, p.open)
		lives(t, way.Memory, live, true)
		lives(t, way.Memory, gone, false)
	})
}
