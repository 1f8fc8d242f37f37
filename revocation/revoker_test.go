package revocation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// TestTheAnswerComesAfterTheLease, counted from the shard's answer, and tells by its time neither whether the token was
// alive nor whether there was anything to do.
func TestTheAnswerComesAfterTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti := issue(t, way.Memory)

		begin := time.Now()
		if r := p.revoke(token(jti)); r.Found != 1 || r.Number == 0 || r.Seq[0] == 0 {
			t.Errorf("receipt of a token that was there: %+v", r)
		}
		tookExactly(t, "revoking what is alive", begin, even)
		begin = time.Now()
		wants(t, "found", p.revoke(token("unknown")).Found, 0)
		tookExactly(t, "revoking what is not there", begin, even)
		begin = time.Now()
		if err := p.Pretend(t.Context()); err != nil {
			t.Error(err)
		}
		tookExactly(t, "Pretend", begin, even)
		begin = time.Now()
		p.revoke(ends(Token, "expired", time.Now().Add(-time.Hour)))
		tookExactly(t, "revoking what has expired", begin, even)

		way.set(nil, slow("revoke", 30*time.Millisecond))
		begin = time.Now()
		p.revoke(token("answered-a-little-late"))
		tookExactly(t, "revoking over a slow store", begin, even)
		way.set(slow("revoke", 400*time.Millisecond), slow("revoke", 300*time.Millisecond))
		begin = time.Now()
		p.revoke(token("answered-late"))
		tookExactly(t, "revoking over a very slow store", begin, 700*time.Millisecond+over(testLease))
		p.logs("msg=revoked", "name="+jti, "found=true", "kind=token")
	})
}

func TestTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti := issue(t, way.Memory)
		way.set(away, nil)
		begin := time.Now()
		r, err := p.refused(token(jti))
		tookExactly(t, "giving up", begin, patience)
		if r.Number == 0 || r.Seq[0] != 0 || !strings.Contains(err.Error(), "is in the journal: context deadline exceeded; revocation: shard 0") {
			t.Errorf("receipt %+v, error %v; want the number and which shard", r, err)
		}
		if err := p.Ready(); err == nil {
			t.Error("Ready while the store is away")
		}
		lives(t, way.Memory, jti, true)
		begin = time.Now()
		if err := p.Pretend(t.Context()); !errors.Is(err, ErrNotDurable) {
			t.Errorf("Pretend while the store is away: %v", err)
		}
		tookExactly(t, "pretending to give up", begin, patience)

		// Nobody asks again; it is done all the same.
		way.set(nil, nil)
		within(t, 1500*time.Millisecond, func() error {
			if _, err := way.Take(t.Context(), jti); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("Take: %v", err)
			}
			return nil
		})
		ready(t, p)
		p.revoke(token("next"))
		wants(t, "callers left", p.callers.Load(), 0)
		wants(t, "entries waited for", len(p.workers[0].waiting), 0)
	})
}

// TestACrashBetweenJournalAndStore: nobody was told, but it was asked for; the next start does it.
func TestACrashBetweenJournalAndStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti, other := issue(t, way.Memory), issue(t, way.Memory)
		way.set(func(_ context.Context, op string, _ int) error {
			if op == "revoke" {
				return store.ErrUnavailable
			}
			return nil
		}, nil)
		p.refused(token(jti))
		p.kill()
		way.set(nil, nil)
		p = p.again()
		ready(t, p)
		lives(t, way.Memory, jti, false)
		lives(t, way.Memory, other, true)
	})
}

// TestALostAnswer: the shard has done it; it is not done twice, and the caller is told.
func TestALostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		before := p.revoke(token("first")).Seq[0]
		lost := 0
		way.set(nil, func(_ context.Context, op string, _ int) error {
			if op == "revoke" && lost < 3 {
				lost++
				return store.ErrUnavailable
			}
			return nil
		})
		if got := p.revoke(token("second")).Seq[0]; got != before+1 {
			t.Errorf("seq %d after %d: not done once", got, before)
		}
		wants(t, "answers lost", lost, 3)
	})
}

// TestBulkCountsFromTheLastShard: an edge may use what it has of a shard until the lease after that shard's answer.
func TestBulkCountsFromTheLastShard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewShardedMemory(4)}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		var grants []string
		for range 20 {
			grants = append(grants, issue(t, way.Memory))
		}
		way.set(nil, func(_ context.Context, op string, shard int) error {
			if op == "revoke" && shard == 2 {
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		begin := time.Now()
		r := p.revoke(ends(Client, "client-AAAAAAAAAAAAAAA", time.Now().Add(time.Hour)), token("x"))
		tookExactly(t, "the slowest of four shards", begin, 300*time.Millisecond+over(testLease))
		if slices.Contains(r.Seq, 0) || len(r.Seq) != 4 {
			t.Errorf("positions %v, want one of each shard", r.Seq)
		}
		for _, jti := range grants {
			lives(t, way.Memory, jti, false)
		}

		// One shard stays closed: nothing counts, though the other three have it.
		way.set(func(_ context.Context, _ string, shard int) error {
			if shard == 1 {
				return fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrClosed)
			}
			return nil
		}, nil)
		r, err := p.refused(ends(Subject, "s", time.Now().Add(time.Hour)))
		if r.Seq[0] == 0 || r.Seq[1] != 0 || r.Seq[2] == 0 || r.Seq[3] == 0 || !strings.Contains(err.Error(), "shard 1") {
			t.Errorf("receipt %+v, %v; want all but shard 1", r, err)
		}
		// Tokens of the others are not held up.
		name := "t"
		for way.ShardOf(name) == 1 {
			name += "t"
		}
		if r := p.revoke(token(name)); len(slices.DeleteFunc(r.Seq, func(n uint64) bool { return n == 0 })) != 1 {
			t.Errorf("a token's receipt has positions %v, want one", r.Seq)
		}
	})
}

func TestRevokingWithoutMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti, other := issue(t, way.Memory), issue(t, way.Memory)
		way.Fill(true)
		p.revoke(token(jti))
		p.revoke(ends(Family, "family-BBBBBBBBBBBBBBB", time.Now().Add(time.Hour)))
		lives(t, way.Memory, jti, false)
		lives(t, way.Memory, other, false)
	})
}

func TestManyRevokeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewShardedMemory(3)}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		var all sync.WaitGroup
		for range 500 {
			jti := issue(t, way.Memory)
			all.Go(func() {
				if r := p.revoke(token(jti)); r.Found != 1 {
					t.Errorf("receipt of %s: %+v", jti, r)
				}
				lives(t, way.Memory, jti, false)
			})
		}
		all.Wait()
		wants(t, "callers left", p.callers.Load(), 0)
	})
}

// TestCallersAreBounded: those beyond are told at once, and a caller who goes leaves nothing behind.
func TestCallersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		way.set(away, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range maxCallers / 2 {
			all.Go(func() { _ = p.Pretend(ctx) })
			all.Go(func() {
				if _, err := p.Revoke(ctx, token("t")); !errors.Is(err, ErrNotDurable) || !errors.Is(err, context.Canceled) {
					t.Errorf("Revoke after its caller went: %v", err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		p.refused(token("one-too-many"))
		if err := p.Pretend(t.Context()); !errors.Is(err, ErrNotDurable) {
			t.Errorf("Pretend beyond the bound: %v", err)
		}
		tookExactly(t, "refusing", begin, 0)
		cancel()
		all.Wait()
		wants(t, "callers left", p.callers.Load(), 0)
		wants(t, "entries waited for", len(p.workers[0].waiting), 0)
	})
}

// TestADeadDisk: nothing is told to the store that is not in the journal.
func TestADeadDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti := issue(t, way.Memory)
		p.disk.unsync = 0
		for range 2 {
			if _, err := p.refused(token(jti)); !errors.Is(err, ErrJournal) {
				t.Errorf("Revoke over a failed fsync: %v", err)
			}
		}
		if err := p.Ready(); !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "restart") {
			t.Errorf("Ready over a failed fsync: %v", err)
		}
		time.Sleep(2 * lookEvery)
		lives(t, way.Memory, jti, true)
	})
}

// TestTheLeaseIsLowered while revocations go on: until no edge can hold the old lease, they wait for it.
func TestTheLeaseIsLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const long = 3 * time.Second
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{Lease: long})
		ready(t, p)
		p.kill()
		p = start(t, way, p.disk, "a", RevokerConfig{})
		var lowered time.Time
		within(t, time.Second, func() error {
			s, err := way.Memory.Shard(t.Context(), 0, "a")
			if err == nil && s.Lease != testLease {
				err = fmt.Errorf("lease is %v", s.Lease)
			}
			lowered = time.Now().Add(-5 * time.Millisecond) // not later than
			return err
		})
		ready(t, p)
		for time.Since(lowered) < 3*long {
			begin := time.Now()
			p.revoke(token("t"))
			// Whatever an edge was told just before the lease was lowered has ended when a revocation is answered.
			if end := lowered.Add(over(long)); time.Now().Before(end) && time.Since(begin) < over(long) {
				t.Fatalf("%v after lowering, a revocation was answered within %v", begin.Sub(lowered), time.Since(begin))
			}
		}
		begin := time.Now()
		p.revoke(token("t"))
		tookExactly(t, "revoking under the new lease", begin, even)

		p.kill()
		p = start(t, way, p.disk, "a", RevokerConfig{Lease: long})
		ready(t, p)
		begin = time.Now()
		p.revoke(token("t"))
		tookExactly(t, "revoking under a raised lease", begin, over(long)+evenOut)
	})
}

// TestARaisedLeaseIsLost: the store that comes back says the old lease, while edges have the one that was raised.
func TestARaisedLeaseIsLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*store.Memory, store.Snapshot){
		"restored": (*store.Memory).Restore,
		"emptied":  func(m *store.Memory, _ store.Snapshot) { m.Clear() },
	} {
		synctest.Test(t, func(t *testing.T) {
			const short = testLease / 5
			m := store.NewMemory()
			a := start(t, &wire{Memory: m}, newFragile(), "a", RevokerConfig{Lease: short}, "b")
			ready(t, a, start(t, &wire{Memory: m}, newFragile(), "b", RevokerConfig{Lease: short}, "a"))
			old := m.Snapshot()
			s, err := m.Shard(t.Context(), 0, "a")
			if err == nil {
				err = m.SetLease(t.Context(), 0, s.LeaseID, testLease, testLease)
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookEvery + short) // everybody has seen it
			lose(m, old)
			lost := time.Now() // until now an edge may have been told testLease
			within(t, testLease, func() error { _, err := a.Revoke(t.Context(), token("t")); return err })
			if took := time.Since(lost); took < over(testLease) {
				t.Errorf("%s: acknowledged %v after edges were told a lease of %v", name, took, testLease)
			}
		})
	}
}

// TestTheLeaseIsRaisedAndLoweredUnseen: who has seen it lowered once must not end the wait for a lease that edges were told
// since.
func TestTheLeaseIsRaisedAndLoweredUnseen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const short = testLease / 5
		m := store.NewMemory()
		p := start(t, &wire{Memory: m}, newFragile(), "a", RevokerConfig{Lease: short})
		ready(t, p)
		set := func(lease, sleep time.Duration) {
			t.Helper()
			s, err := m.Shard(t.Context(), 0, "a")
			if err == nil {
				err = m.SetLease(t.Context(), 0, s.LeaseID, lease, sleep)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		sleep := func() time.Duration { s, _ := m.Shard(t.Context(), 0, "a"); return s.Sleep }
		set(short, testLease)
		time.Sleep(2*lookEvery + lookEvery/2) // seen twice; the third look ends the wait
		if sleep() != testLease {
			t.Fatal("the wait has ended already")
		}
		set(testLease, testLease)
		set(short, testLease) // edges may have been told testLease until now
		lowered := time.Now()
		within(t, 5*time.Second, func() error {
			if got := sleep(); got != short {
				return fmt.Errorf("sleep is %v", got)
			}
			return nil
		})
		if took := time.Since(lowered); took < over(testLease) {
			t.Errorf("the wait for the old lease was ended after %v", took)
		}
	})
}

// TestWhatLooksDeadIsSent: an issuer whose clock is ahead takes for past what the store does not, and nobody is told that a
// revocation is in force which the store has never heard of.
func TestWhatLooksDeadIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()}
		p := start(t, way, newFragile(), "a", RevokerConfig{})
		ready(t, p)
		jti := issue(t, way.Memory)
		r := p.revoke(token("first"), ends(Token, jti, time.Now().Add(-24*time.Hour)), token("last"))
		wants(t, "records found", r.Found, 1)
		lives(t, way.Memory, jti, false)
	})
}

// TestAReplicaThatIsAwayKeepsNoShardClosed: the journals vouch for what a node may lose. But nobody is told that anything
// is in force that no replica has confirmed, also if it was brought in while the shard was closed.
func TestAReplicaThatIsAwayKeepsNoShardClosed(t *testing.T) {
	t.Parallel()
	for _, others := range [][]string{nil, {"b"}} {
		synctest.Test(t, func(t *testing.T) {
			way := &wire{Memory: store.NewMemory()} // it has no replicas
			p := start(t, way, newFragile(), "a", RevokerConfig{Replicas: 1}, others...)
			for _, other := range others {
				ready(t, start(t, way, newFragile(), other, RevokerConfig{Replicas: 1}, "a"))
			}
			ready(t, p)
			live, gone := issue(t, way.Memory), issue(t, way.Memory)
			p.refused(token("unconfirmed"))
			until := time.Now().Add(5 * time.Second)
			way.set(func(_ context.Context, op string, _ int) error {
				if op == "open" && time.Now().Before(until) {
					return store.ErrUnavailable
				}
				return nil
			}, nil)
			way.openings()
			way.Restart()
			time.Sleep(time.Second)
			p.refused(token(gone))
			lives := func(jti string) bool { _, err := way.Take(t.Context(), jti); return err == nil }
			time.Sleep(10 * time.Second)
			if got := way.openings(); !slices.Equal(got, []bool{false}) || !lives(live) || lives(gone) {
				t.Errorf("with %d others: openings %v, the bystander lives %v, the revoked one %v; want it open, and nothing ended",
					len(others), got, lives(live), lives(gone))
			}
			p.refused(token("unconfirmed"))
		})
	}
}

// TestReplicasMustConfirm: an answer that the script ran is not one that the replicas have it.
func TestReplicasMustConfirm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := &wire{Memory: store.NewMemory()} // it has no replicas, and says so after it has revoked
		p := start(t, way, newFragile(), "a", RevokerConfig{Replicas: 1})
		ready(t, p)
		jti := issue(t, way.Memory)
		p.refused(token(jti))
		lives(t, way.Memory, jti, false)
	})
}

func TestNewRevokerRefuses(t *testing.T) {
	t.Parallel()
	good := RevokerConfig{Shards: store.NewMemory(), Journal: NewVolatileJournal(), Issuer: "a", Issuers: []string{"a", "b"}}
	if _, err := NewRevoker(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*RevokerConfig)
		want  string
	}{
		"no shards":       {func(c *RevokerConfig) { c.Shards = nil }, "needs Shards"},
		"no journal":      {func(c *RevokerConfig) { c.Journal = nil }, "needs Shards and a Journal"},
		"not in the list": {func(c *RevokerConfig) { c.Issuer = "c" }, "not in the list of all issuers (a, b)"},
		"no name":         {func(c *RevokerConfig) { c.Issuer = "" }, "not in the list"},
		"a bad name":      {func(c *RevokerConfig) { c.Issuers = []string{"a", "b c"} }, "[A-Za-z0-9_-]"},
		"a short lease":   {func(c *RevokerConfig) { c.Lease = time.Microsecond }, "lease of 0s"},
		"a long lease":    {func(c *RevokerConfig) { c.Lease = time.Hour }, "lease of 1h0m0s"},
		"missing":         {func(c *RevokerConfig) { c.Missing = -1 }, "not negative"},
		"replicas":        {func(c *RevokerConfig) { c.Replicas = -1 }, "not negative"},
	} {
		bad := good
		c.spoil(&bad)
		if _, err := NewRevoker(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: NewRevoker: %v, want %q", name, err, c.want)
		}
	}
}

// TestAcknowledgedIsRevoked over a way that holds up and loses whatever it likes, with crashes of the issuer's machine
// and restarts of the store: what was acknowledged stays revoked, what was not asked for stays alive, and in the end all
// that was asked for is done.
func TestAcknowledgedIsRevoked(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { storm(t, rand.New(rand.NewPCG(seed, 3))) })
		})
	}
}

func storm(t *testing.T, r *rand.Rand) {
	way := &wire{Memory: store.NewShardedMemory(2)}
	p := start(t, way, newFragile(), "a", RevokerConfig{})
	ready(t, p)
	bystander := issue(t, way.Memory)
	var mu sync.Mutex // guards r
	chance := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(n)
	}
	weather := func(ctx context.Context, _ string, _ int) error {
		time.Sleep(time.Duration(chance(60)) * time.Millisecond)
		if chance(5) == 0 {
			return store.ErrUnavailable
		}
		return nil
	}
	way.set(weather, weather)
	var asked, acked []string
	for i := range 40 {
		jti := fmt.Sprint("grant-", i)
		asked = append(asked, jti)
		if _, err := p.Revoke(t.Context(), token(jti)); err == nil {
			acked = append(acked, jti)
		}
		switch chance(8) {
		case 0:
			p = p.again()
		case 1:
			way.Restart()
		}
		for _, jti := range acked {
			mustBeRevoked(t, way.Memory, jti)
		}
	}
	way.set(nil, nil)
	within(t, 5*time.Second, p.open)
	p.revoke(ends(Subject, "the-last", time.Now().Add(time.Hour))) // in each shard all before it are done when it is
	for _, jti := range asked {
		mustBeRevoked(t, way.Memory, jti)
	}
	lives(t, way.Memory, bystander, true)
	if len(acked) == 0 {
		t.Error("nothing was acknowledged: the weather is too bad to show anything")
	}
}

// mustBeRevoked finds the tombstone, also while the shard is closed.
func mustBeRevoked(t *testing.T, m *store.Memory, jti string) {
	t.Helper()
	if _, err := m.Inspect(t.Context(), jti); !errors.Is(err, store.ErrRevoked) && !errors.Is(err, store.ErrClosed) {
		t.Errorf("%s was revoked; Inspect says %v", jti, err)
	}
}
