package revocation

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// realIssuer runs an issuer on a real Redis, with a journal on a real disk.
func realIssuer(t *testing.T, server *storetest.Redis, c RevokerConfig) (*process, *store.Redis) {
	t.Helper()
	r, err := store.NewRedis(store.RedisConfig{Addr: server.Addr, Shards: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	t.Cleanup(func() { _ = j.Close() })
	c.Shards, c.Journal, c.Issuer, c.Issuers, c.Lease = r, j, "a", []string{"a"}, 100*time.Millisecond
	p := run(t, c)
	storetest.Eventually(t, 10*time.Second, "the first opening", func() bool { return p.open() == nil })
	return p, r
}

func realGrant(t *testing.T, r *store.Redis) string {
	t.Helper()
	rec := storetest.NewRecord()
	if err := r.Put(t.Context(), rec, store.Quota{Grants: 1000, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	return rec.JTI
}

func realLives(t *testing.T, r *store.Redis, jti string, want bool) {
	t.Helper()
	if _, err := r.Take(t.Context(), jti); (err == nil) != want || err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Take(%s) = %v, want it alive: %v", jti, err, want)
	}
}

func TestRedisIsRestarted(t *testing.T) {
	t.Parallel()
	server := storetest.StartDurableRedis(t)
	p, r := realIssuer(t, server, RevokerConfig{})
	gone, live := realGrant(t, r), realGrant(t, r)
	begin := time.Now()
	p.revoke(token(gone))
	t.Logf("revoked within %v of a lease of %v", time.Since(begin), p.config.Lease)
	for _, end := range []func(){server.Stop, server.Kill} {
		end()
		p.refused(token(gone))
		server.Restart()
		begin := time.Now()
		storetest.Eventually(t, 10*time.Second, "opening again", func() bool { return p.open() == nil })
		t.Logf("open again after %v", time.Since(begin))
		realLives(t, r, live, true)
		realLives(t, r, gone, false)
	}
	p.logs("shard opened: nothing is missing")
	p.revoke(ends(Client, "client-AAAAAAAAAAAAAAA", time.Now().Add(time.Hour)))
	realLives(t, r, live, false)
}

// TestRedisIsKilledWhileMuchIsRevoked: what was acknowledged is revoked whenever it can be asked, and at last all is.
func TestRedisIsKilledWhileMuchIsRevoked(t *testing.T) {
	t.Parallel()
	server := storetest.StartDurableRedis(t)
	p, r := realIssuer(t, server, RevokerConfig{})
	bystander := realGrant(t, r)
	grants := make([]string, 60)
	for i := range grants {
		grants[i] = realGrant(t, r)
	}
	var all sync.WaitGroup
	var mu sync.Mutex // guards acked
	acked := 0
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return acked
	}
	for i := range 6 {
		all.Go(func() {
			for _, jti := range grants[i*10 : (i+1)*10] {
				if _, err := p.Revoke(t.Context(), token(jti)); err != nil {
					continue
				}
				if _, err := r.Take(t.Context(), jti); err == nil {
					t.Errorf("%s was acknowledged and lives", jti)
				}
				mu.Lock()
				acked++
				mu.Unlock()
			}
		})
	}
	for range 3 {
		before := count()
		storetest.Eventually(t, 20*time.Second, "some acknowledgements", func() bool { return count() > before+5 })
		server.Kill()
		server.Restart()
	}
	all.Wait()
	storetest.Eventually(t, 10*time.Second, "opening again", func() bool { return p.open() == nil })
	p.revoke(ends(Subject, "after-all-others", time.Now().Add(time.Hour)))
	for _, jti := range grants {
		realLives(t, r, jti, false)
	}
	realLives(t, r, bystander, true)
	t.Logf("%d of %d acknowledged over three kills", acked, len(grants))
}

// TestRedisRestartsEmpty: all data is gone, so all earlier grants end, and revoked keys stay revoked.
func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	p, r := realIssuer(t, server, RevokerConfig{})
	jti := realGrant(t, r)
	p.revoke(ends(Key, "leaked", time.Now()))
	server.Kill()
	server.Restart()
	storetest.Eventually(t, 10*time.Second, "opening again", func() bool { return p.open() == nil })
	realLives(t, r, jti, false)
	p.revoke(token("after-the-replay"))
	keys := []string{}
	for shard, a := range r.Pull(t.Context(), make([]store.Position, 3), "") {
		if a.Err != nil || fmt.Sprint(a.Keys) != "[leaked]" {
			keys = append(keys, fmt.Sprint(shard, a.Keys, a.Err))
		}
	}
	if len(keys) > 0 {
		t.Errorf("revoked keys by shard: %v, want [leaked] in each", keys)
	}
	p.logs("empty=true")
}

// BenchmarkRevoke is the time to an answer under a lease of 100 ms, and how many a second many callers get.
func BenchmarkRevoke(b *testing.B) {
	for _, callers := range []int{1, 1000} {
		b.Run(fmt.Sprint(callers, "-callers"), func(b *testing.B) {
			j, err := OpenJournal(filepath.Join(b.TempDir(), "journal"))
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			r, err := store.NewRedis(store.RedisConfig{Addr: storetest.StartRedis(b).Addr})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			p := run(b, RevokerConfig{Shards: r, Journal: j, Issuer: "a", Issuers: []string{"a"}, Lease: 100 * time.Millisecond})
			defer p.kill()
			storetest.Eventually(b, 10*time.Second, "the first opening", func() bool { return p.open() == nil })
			b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
			if callers == 1 {
				for b.Loop() {
					p.revoke(token("0123456789abcdef0123456789abcdef"))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.revoke(token("0123456789abcdef0123456789abcdef"))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "revocations/s")
		})
	}
}

// TestRedisIsRestartedWithoutItsReplica: nothing is revoked that was not confirmed, and nobody is logged out.
func TestRedisIsRestartedWithoutItsReplica(t *testing.T) {
	t.Parallel()
	server := storetest.StartDurableRedis(t)
	p, r := realIssuer(t, server, RevokerConfig{Replicas: 1})
	live := realGrant(t, r)
	p.refused(token("ffffffffffffffffffffffffffffffff"))
	server.Kill()
	server.Restart()
	storetest.Eventually(t, 10*time.Second, "opening again", func() bool {
		_, err := r.Take(t.Context(), live)
		return err == nil
	})
	p.refused(token(live))
	realLives(t, r, live, false)
}
