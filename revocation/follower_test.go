package revocation_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

const (
	leaseLength = 400 * time.Millisecond
	grace       = 5 * time.Second
	far         = time.Hour // a life that no test reaches the end of
)

// fakeLog is a store whose answers can be held up and lost. Its log is all of history.
type fakeLog struct {
	mu          sync.Mutex // guards all below
	shards      []*fakeShard
	seen        []string
	gone        map[string]bool                         // jtis whose record is not there
	before      func(ctx context.Context, nth int)      // runs before a pull is answered
	after       func(ctx context.Context, nth int) bool // runs when it has been answered; false: the answer is lost
	edit        func(p *store.Pulled)                   // of answers that have entries
	deaf        bool                                    // answers though ctx has ended
	few         bool                                    // answers for the first shard only
	take        func(ctx context.Context, jti string) (store.Taken, error)
	pulls, asks int
}

type fakeShard struct {
	log         []store.Entry // the entry with seq n is at n-1
	incarnation string
	lease       time.Duration
	page        int
	err         error
	keys        []string
	blank       bool // answers that nothing has happened, wherever it is asked from
}

func newFakeLog(shards int) *fakeLog {
	l := &fakeLog{gone: map[string]bool{}}
	for i := range shards {
		l.shards = append(l.shards, &fakeShard{incarnation: fmt.Sprint("first-", i), lease: leaseLength, page: 1000})
	}
	return l
}

func (l *fakeLog) Shards() int { return len(l.shards) }

func (l *fakeLog) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	l.mu.Lock()
	l.pulls++
	nth, before, lose := l.pulls, l.before, l.after
	l.seen = append(l.seen, seen)
	l.mu.Unlock()
	if before != nil {
		before(ctx, nth)
	}
	answers := make([]store.Pulled, len(l.shards))
	l.mu.Lock()
	for i, s := range l.shards {
		answers[i] = s.pull(after[i])
		if l.edit != nil && len(answers[i].Entries) > 0 {
			l.edit(&answers[i])
		}
	}
	if l.few {
		answers = answers[:1]
	}
	l.mu.Unlock()
	if lose != nil && !lose(ctx, nth) {
		<-ctx.Done()
	}
	if ctx.Err() != nil && !l.deaf {
		for i := range answers {
			answers[i] = store.Pulled{Err: store.ErrUnavailable}
		}
	}
	return answers
}

func (s *fakeShard) pull(after store.Position) store.Pulled {
	p := store.Pulled{Err: s.err, Lease: s.lease, Incarnation: s.incarnation}
	if s.err != nil {
		return store.Pulled{Err: s.err}
	}
	if s.blank {
		p.At = after
		return p
	}
	n := int(after.Seq)
	if after == (store.Position{}) || n > len(s.log) || n > 0 && s.log[n-1].Position != after {
		p.Flush, p.Keys, p.At = true, s.keys, s.head()
		if len(s.log) == 0 {
			p.At.ID = "beginning"
		}
		return p
	}
	p.Entries = slices.Clone(s.log[n:min(n+s.page, len(s.log))])
	p.At, p.More = after, n+len(p.Entries) < len(s.log)
	if len(p.Entries) > 0 {
		p.At = p.Entries[len(p.Entries)-1].Position
	}
	return p
}

func (s *fakeShard) head() store.Position {
	if len(s.log) == 0 {
		return store.Position{}
	}
	return s.log[len(s.log)-1].Position
}

// Take answers that every record lives, but those that are gone.
func (l *fakeLog) Take(ctx context.Context, jti string) (store.Taken, error) {
	l.mu.Lock()
	l.asks++
	take := l.take
	l.mu.Unlock()
	if take != nil {
		return take(ctx, jti)
	}
	return l.look(0, jti)
}

func (l *fakeLog) look(shard int, jti string) (store.Taken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shard]
	switch {
	case s.err != nil:
		return store.Taken{}, s.err
	case l.gone[jti]:
		return store.Taken{}, store.ErrNotFound
	}
	return store.Taken{Seq: s.head().Seq, Incarnation: s.incarnation, Shard: shard, Lease: s.lease}, nil
}

// revoke writes to the log of a shard.
func (l *fakeLog) revoke(shard int, kind store.Kind, name string) {
	l.change(func() {
		s := l.shards[shard]
		n := uint64(len(s.log) + 1)
		s.log = append(s.log, store.Entry{
			Position:   store.Position{Seq: n, ID: fmt.Sprintf("%s/%d", s.incarnation, n)},
			Revocation: store.Revocation{Kind: kind, Name: name},
		})
		if kind == store.KindToken {
			l.gone[name] = true
		}
	})
}

func (l *fakeLog) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// follow runs a follower of l until the test ends, and waits until it has a first lease, or has been refused one.
func follow(t *testing.T, l *fakeLog) *revocation.Follower {
	t.Helper()
	f := newFollower(t, revocation.FollowerConfig{Log: l, StreamGrace: grace})
	run(t, f)
	synctest.Wait()
	return f
}

func newFollower(t *testing.T, c revocation.FollowerConfig) *revocation.Follower {
	t.Helper()
	f, err := revocation.NewFollower(c)
	if err != nil {
		t.Fatalf("NewFollower: %v", err)
	}
	return f
}

func run(t *testing.T, f *revocation.Follower) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run gave %v when it was told to end, want nil", err)
		}
	})
}

// kept is a grant in a cache.
type kept struct {
	f    *revocation.Follower
	mark revocation.Mark
	n    revocation.Names
}

// names are those of a test's grant: all end in its name.
func names(f *revocation.Follower, shard int, grant string) revocation.Names {
	return f.Names(shard, "jti-"+grant, "family-"+grant, "client-"+grant, "subject-"+grant, "key-"+grant)
}

// keep keeps what the store says now.
func keep(t *testing.T, f *revocation.Follower, l *fakeLog, shard int, grant string) *kept {
	t.Helper()
	taken, err := l.look(shard, "jti-"+grant)
	if err != nil {
		t.Fatalf("take %s: %v", grant, err)
	}
	k := &kept{f: f, n: names(f, shard, grant)}
	if !f.Keep(&k.mark, taken, &k.n) {
		t.Fatalf("an answer of now about %s was not kept", grant)
	}
	return k
}

func (k *kept) holds() bool { return k.f.Holds(&k.mark, &k.n, time.Now()) }

// pass lets every pull be made that is due within d.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFollowerAppliesWithinOnePull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(2)
		f := follow(t, l)
		if err := f.Ready(); err != nil {
			t.Fatalf("Ready after the first pull: %v", err)
		}
		one, two := keep(t, f, l, 0, "one"), keep(t, f, l, 1, "two")
		if !one.holds() || !two.holds() {
			t.Fatalf("kept answers hold: %t, %t; want both", one.holds(), two.holds())
		}
		l.revoke(0, store.KindToken, "jti-one")
		pass(leaseLength * 11 / 40)
		if one.holds() || !two.holds() {
			t.Errorf("after a pull kept answers hold: %t, %t; want only the second, for the first was revoked", one.holds(), two.holds())
		}
		if got, want := f.Since(0), (store.Since{Seq: 1, Incarnation: "first-0"}); got != want {
			t.Errorf("Since(0) = %v, want %v", got, want)
		}
	})
}
