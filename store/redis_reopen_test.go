package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// fragile is a store on a server of its own.
type fragile struct {
	*store.Redis
	server *storetest.Redis
}

// Restart changes the replication id as a restart does, and keeps the data.
func (f fragile) Restart() { f.server.Do("DEBUG", "CHANGE-REPL-ID") }

func (f fragile) Clear() { f.server.Do("FLUSHALL") }

func TestRedisOpening(t *testing.T) {
	t.Parallel()
	for _, n := range shards {
		t.Run(fmt.Sprintf("shards=%d", n), func(t *testing.T) {
			t.Parallel()
			storetest.RunOpening(t, func(t *testing.T) storetest.Fragile {
				server := storetest.StartRedis(t, "--enable-debug-command", "local")
				return fragile{connect(t, server, func(c *store.RedisConfig) { c.Shards = n }), server}
			})
		})
	}
}

func number(n uint64, kind store.Kind, name string) []store.Numbered {
	return []store.Numbered{{Number: n, Revocation: store.Revocation{Kind: kind, Name: name, Until: time.Now().Add(time.Hour)}}}
}

// comeBack waits until a server that was away answers again.
func comeBack(t *testing.T, s *store.Redis) (now store.Shard) {
	t.Helper()
	storetest.Eventually(t, recovery, "the store to be back", func() bool {
		var err error
		now, err = s.Shard(t.Context(), 0, author.Issuer)
		return err == nil
	})
	return now
}

// TestRedisRestartsFromAnOldSnapshot: the journal closes the gap, and what was revoked since the snapshot is so again.
func TestRedisRestartsFromAnOldSnapshot(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	enrol(t, s)
	kept, dead := put(t, s), put(t, s)
	server.Do("SAVE")
	before, err := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, dead.JTI), 0)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Restart()
	now := comeBack(t, s)
	if now.Open || now.Empty || now.Done != 0 || now.At == before.At {
		t.Fatalf("restarted from the snapshot: got %+v, want it closed, without the revocation", now)
	}
	if _, err := s.Take(t.Context(), dead.JTI); !errors.Is(err, store.ErrClosed) {
		t.Errorf("take of a revoked token that is back: got %v, want ErrClosed", err)
	}
	if _, err := s.Revoke(t.Context(), 0, author, now.Replication, number(1, store.KindToken, dead.JTI), 0); err != nil {
		t.Fatal(err)
	}
	reopen(t, s)
	if _, err := s.Take(t.Context(), dead.JTI); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("take of the revoked token: got %v, want ErrNotFound", err)
	}
	if _, err := s.Take(t.Context(), kept.JTI); err != nil {
		t.Errorf("take of another: %v", err)
	}
	// Two histories of the same length: an edge that has read the one flushes for the other.
	if p := s.Pull(t.Context(), []store.Position{before.At}, "")[0]; p.Err != nil || !p.Flush {
		t.Errorf("pull from the history that was lost: got %+v, want a flush", p)
	}
}

// replicaOf starts a replica of server and waits until it has all data.
func replicaOf(t *testing.T, server *storetest.Redis) *storetest.Redis {
	t.Helper()
	replica := storetest.StartRedis(t)
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	server.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica.Do("REPLICAOF", host, port)
	storetest.Eventually(t, recovery, "the replica to have all", func() bool {
		return strings.Contains(replica.Do("INFO", "replication").(string), "master_link_status:up")
	})
	return replica
}

// TestRedisReplicaIsClosed: a replica has all data and speaks for none of it, before it is promoted and after.
func TestRedisReplicaIsClosed(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	enrol(t, s)
	r := put(t, s)
	replica := replicaOf(t, server)
	// A server gets a new replication id with its first replica, too.
	if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
		t.Errorf("with the first replica: take: got %v, want ErrClosed", err)
	}
	reopen(t, s)
	other := connect(t, replica)
	for _, step := range []string{"as a replica", "promoted"} {
		if _, err := other.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: take: got %v, want ErrClosed", step, err)
		}
		if p := other.Pull(t.Context(), make([]store.Position, 1), "edge-1")[0]; !errors.Is(p.Err, store.ErrClosed) {
			t.Errorf("%s: pull: got %+v, want ErrClosed", step, p)
		}
		if now, err := other.Shard(t.Context(), 0, author.Issuer); (step == "promoted") != (err == nil) || now.Open {
			t.Errorf("%s: shard: got %+v, %v", step, now, err)
		}
		replica.Do("REPLICAOF", "NO", "ONE")
	}
	reopen(t, other)
	if _, err := other.Take(t.Context(), r.JTI); err != nil {
		t.Errorf("promoted and opened: take: %v", err)
	}
	if _, err := s.Take(t.Context(), r.JTI); err != nil {
		t.Errorf("the old primary, still one: take: %v", err)
	}
}

// TestRedisWaitsForReplicas: on the connection that wrote; whoever asks again because a replica was away is not told yes
// by a connection that has written nothing.
func TestRedisWaitsForReplicas(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	enrol(t, s)
	replica := replicaOf(t, server)
	reopen(t, s)
	revoke := func(n uint64, timeout time.Duration) (store.Revoked, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return s.Revoke(ctx, 0, author, "", number(n, store.KindClient, "c"), 1)
	}
	if got, err := revoke(1, testTimeout); err != nil || got.Replicas < 1 {
		t.Errorf("with a replica: got %+v, %v, want it confirmed", got, err)
	}
	// Once the replica has told that it has all, only the connection that writes knows that there is more.
	storetest.Eventually(t, recovery, "the replica to have acknowledged all", func() bool {
		info := server.Do("INFO", "replication").(string)
		_, offset, _ := strings.Cut(info, "master_repl_offset:")
		offset, _, _ = strings.Cut(offset, "\r\n")
		return strings.Contains(info, "offset="+offset+",")
	})
	replica.Pause()
	for range 3 { // the first writes, the others find it done
		got, err := revoke(2, 2*time.Second)
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1 replicas") || got.Done != 2 {
			t.Errorf("with a replica that is stopped: got %+v, %v, want it done here and not confirmed", got, err)
		}
	}
	replica.Resume()
	storetest.Eventually(t, recovery, "the replica to confirm", func() bool {
		_, err := revoke(2, 2*time.Second)
		return err == nil
	})
	if !strings.Contains(replica.Do("HGET", "coatcheck:{0}:journals", author.Issuer).(string), " 2 ") {
		t.Error("confirmed, and the replica does not have it")
	}
}

// TestRedisRevokesWithoutMemory: whoever can fill Redis, by minting, cannot keep revocations out, nor a shard closed.
func TestRedisRevokesWithoutMemory(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, "--enable-debug-command", "local", "--maxmemory-policy", "noeviction")
	s := opened(t, server)
	enrol(t, s)
	token := put(t, s)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	if err := s.Put(t.Context(), storetest.NewRecord(), store.Quota{}); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) {
		t.Errorf("put: got %v, want ErrUnavailable", err)
	}
	n := uint64(0)
	for kind, name := range map[store.Kind]string{
		store.KindToken: token.JTI, store.KindClient: "c", store.KindFamily: "f", store.KindSubject: "s", store.KindKey: "k",
		store.KindBefore: strconv.FormatInt(time.Now().Unix(), 10),
	} {
		n++
		for range 2 { // once more: it confirms
			if got, err := s.Revoke(t.Context(), 0, author, "", number(n, kind, name), 0); err != nil || got.Done != n {
				t.Errorf("revoke %s: got %+v, %v, want it done", kind, got, err)
			}
		}
	}
	if err := s.SetLease(t.Context(), 0, leaseID(t, s), storetest.Lease, storetest.Lease); err != nil {
		t.Errorf("set lease: %v", err)
	}
	for version := range uint64(2) { // a key that leaked is withdrawn
		if err := s.SwapState(t.Context(), "ring", version, make([]byte, store.MaxState)); err != nil {
			t.Errorf("swap state: %v", err)
		}
	}
	server.Do("DEBUG", "CHANGE-REPL-ID")
	reopen(t, s)
	if err := s.Enrol(t.Context(), 0, store.Author{Issuer: "issuer-2", Journal: "j"}, ""); err != nil {
		t.Errorf("enrol: %v", err)
	}
	if p := s.Pull(t.Context(), make([]store.Position, 1), "edge-1")[0]; p.Err != nil || !p.Flush {
		t.Errorf("pull: got %+v, want an answer, though the edge cannot be shown", p)
	}
}

// TestRedisRefusesAnIssuerOfAnotherTime: what it takes for past may live on here, and what it wants to be kept may be
// thrown away too early. Redis tells its own time.
func TestRedisRefusesAnIssuerOfAnotherTime(t *testing.T) {
	t.Parallel()
	s := opened(t, storetest.StartRedis(t))
	enrol(t, s)
	for i, off := range []time.Duration{-time.Hour, -7 * time.Second, 7 * time.Second, time.Hour, 0, 4 * time.Second, -4 * time.Second} {
		s.SetNow(func() time.Time { return time.Now().Add(off) })
		token := put(t, s)
		_, err := s.Revoke(t.Context(), 0, author, "", number(uint64(i+1), store.KindToken, token.JTI), 0)
		if off.Abs() < 5*time.Second {
			if err != nil {
				t.Errorf("clock off by %v: %v", off, err)
			}
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "mend: synchronise") {
			t.Errorf("clock off by %v: got %v, want it refused with the mend", off, err)
		}
		if _, err := s.Take(t.Context(), token.JTI); err != nil {
			t.Errorf("clock off by %v: take: %v, want it untouched", off, err)
		}
	}
	before := time.Now().Truncate(time.Millisecond)
	if now, err := s.Shard(t.Context(), 0, author.Issuer); err != nil || now.Now.Before(before) || now.Now.After(time.Now()) {
		t.Errorf("shard: got %+v, %v, want the time of Redis", now, err)
	}
}
