package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// recovery is how long a store may need to find a server that is back: its client asks once a second.
const recovery = 20 * time.Second

// put opens the store, if nobody has, and puts a record into it.
func put(t testing.TB, s storetest.Store) store.Record {
	t.Helper()
	storetest.Open(t, s)
	r := storetest.NewRecord()
	if err := s.Put(t.Context(), r, store.Quota{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// author is the issuer of these tests.
var author = store.Author{Issuer: storetest.Issuer, Journal: "journal-1"}

func enrol(t *testing.T, s storetest.Store) {
	t.Helper()
	for i := range s.Shards() {
		if err := s.Enrol(t.Context(), i, author, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// leaseID is what whoever sets the lease of shard 0 must know.
func leaseID(t *testing.T, s storetest.Store) string {
	t.Helper()
	now, err := s.Shard(t.Context(), 0, author.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	return now.LeaseID
}

// reopen opens every shard as an issuer does whose journal is in it.
func reopen(t *testing.T, s storetest.Store) {
	t.Helper()
	for i := range s.Shards() {
		now, err := s.Shard(t.Context(), i, author.Issuer)
		if err == nil {
			err = s.Vote(t.Context(), i, author, now.Replication, true)
		}
		if err == nil {
			_, err = s.Open(t.Context(), i, store.Opening{Replication: now.Replication, Issuers: []string{author.Issuer}, Lease: storetest.Lease})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantUnavailable asks every operation, and wants each to say that it does not know.
func wantUnavailable(t *testing.T, s storetest.Store, r store.Record, mend string) {
	t.Helper()
	_, takeErr := s.Take(t.Context(), r.JTI)
	_, revokeErr := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0)
	_, _, stateErr := s.State(t.Context(), "ring")
	for what, err := range map[string]error{
		"take": takeErr, "revoke": revokeErr, "state": stateErr,
		"pull":       s.Pull(t.Context(), make([]store.Position, 1), "")[0].Err,
		"put":        s.Put(t.Context(), storetest.NewRecord(), store.Quota{}),
		"swap_state": s.SwapState(t.Context(), "ring", 0, []byte("x")),
		"check":      s.Check(t.Context()),
	} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrUnavailable alone", what, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), what+": ") || !strings.Contains(err.Error(), mend) {
			t.Errorf("%s: got %q, want what was attempted, and %q", what, err, mend)
		}
	}
}

// A server that dies is unavailable; one that comes back with its data is used again without our restart.
func TestRedisKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	server := storetest.StartDurableRedis(t)
	s := connect(t, server)
	r := put(t, s)
	enrol(t, s)
	before, err := s.Take(t.Context(), r.JTI)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	wantUnavailable(t, s, r, "connection refused")
	// More failures than the client has connections: it then dials by itself, once a second.
	for range 50 {
		if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("take while away: got %v, want ErrUnavailable", err)
		}
	}
	server.Restart()
	storetest.Eventually(t, recovery, "the store to be back", func() bool {
		_, err := s.Take(t.Context(), r.JTI)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("take while coming back: got %v, want ErrUnavailable", err)
		}
		return errors.Is(err, store.ErrClosed)
	})
	reopen(t, s)
	after, err := s.Take(t.Context(), r.JTI)
	if err != nil || string(after.Blob) != string(r.Blob) || after.Incarnation == before.Incarnation {
		t.Errorf("reopened: got %q of incarnation %q, %v; want %q of another than %q", after.Blob, after.Incarnation, err, r.Blob, before.Incarnation)
	}
}

// Killed in the middle of traffic, a store may only ever say the truth or that it does not know.
func TestRedisKilledDuringTraffic(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	errs := make(chan error)
	for range 8 {
		go func() {
			for {
				if _, err := s.Take(t.Context(), r.JTI); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	server.Kill()
	for range 8 {
		if err := <-errs; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("take: got %v, want ErrUnavailable", err)
		}
	}
}

// A server that accepts and never answers costs a caller the bound and no more.
func TestRedisPaused(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	patient := connect(t, server)
	s := connect(t, server, func(c *store.RedisConfig) { c.Timeout = 50 * time.Millisecond })
	r := put(t, patient)
	server.Pause()
	wantUnavailable(t, s, r, "no answer: ")
	server.Resume()
	storetest.Eventually(t, recovery, "the record to be there, or revoked by the paused revocation", func() bool {
		_, err := s.Take(t.Context(), r.JTI)
		return err == nil || errors.Is(err, store.ErrNotFound)
	})
}

// An emptied store has lost the record, and says by its incarnation that its small seq is not an old one.
func TestRedisFlushed(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	before, err := s.Take(t.Context(), r.JTI)
	if err != nil {
		t.Fatal(err)
	}
	server.Do("FLUSHALL")
	if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
		t.Errorf("take after FLUSHALL: got %v, want ErrClosed", err)
	}
	after, err := s.Take(t.Context(), put(t, s).JTI)
	if err != nil || after.Incarnation == before.Incarnation {
		t.Errorf("after FLUSHALL: got incarnation %q, %v, want another than %q", after.Incarnation, err, before.Incarnation)
	}
}

// A server that lost its scripts gets them again.
func TestRedisForgetsScripts(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	for range 2 {
		server.Do("SCRIPT", "FLUSH")
		if _, err := s.Take(t.Context(), r.JTI); err != nil {
			t.Errorf("take: %v", err)
		}
		server.Do("SCRIPT", "FLUSH")
		put(t, s)
	}
}

// Out of memory, what lets clients in goes on and what ends them too; only new grants are refused.
func TestRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, "--maxmemory-policy", "noeviction")
	s := connect(t, server)
	kept, revoked := put(t, s), put(t, s)
	server.Do("CONFIG", "SET", "maxmemory", "1")

	refused := storetest.NewRecord()
	err := s.Put(t.Context(), refused, store.Quota{})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "maxmemory") {
		t.Errorf("put: got %v, want ErrUnavailable with the mend", err)
	}
	if err := s.SwapState(t.Context(), "ring", 0, []byte("x")); err != nil {
		t.Errorf("swap state: %v, want a leaked key withdrawn", err)
	}
	if _, err := s.Take(t.Context(), kept.JTI); err != nil {
		t.Errorf("take: %v", err)
	}
	later := time.Now().Add(time.Minute)
	if err := storetest.Taken(s.Once(t.Context(), "x", later, later)); err != nil {
		t.Errorf("once: %v, want a client let in, which may want to revoke", err)
	}
	if !storetest.Revoke(t, s, revoked.JTI) {
		t.Error("revoke: found no record")
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	// Of what was refused nothing is left, in the client's count neither; what was revoked keeps its place.
	if err := s.Put(t.Context(), refused, store.Quota{Grants: 3}); err != nil {
		t.Errorf("put with memory again: %v", err)
	}
}

// What Redis says instead of an answer is never an answer about the record.
func TestRedisSaysItCannot(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, mend string
		bring      func(*storetest.Redis)
	}{
		{"a password is wanted", "mend: Redis wants a password", func(r *storetest.Redis) { r.Do("CONFIG", "SET", "requirepass", "other") }},
		{"a replica whose primary is away", "", func(r *storetest.Redis) {
			r.Do("CONFIG", "SET", "replica-serve-stale-data", "no")
			r.Do("REPLICAOF", "127.0.0.1", "1")
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := storetest.StartRedis(t)
			r := put(t, connect(t, server))
			row.bring(server)
			s := connect(t, server) // connections that were let in before stay so
			if row.mend != "" {
				wantUnavailable(t, s, r, row.mend)
				return
			}
			if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("take: got %v, want ErrUnavailable", err)
			}
		})
	}
}

// A replica answers reads, so a write is what shows it; Check names it.
func TestRedisReplicaRefusesWrites(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	server.Do("REPLICAOF", "127.0.0.1", "1")
	_, revokeErr := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0)
	for what, err := range map[string]error{
		"put":    s.Put(t.Context(), storetest.NewRecord(), store.Quota{}),
		"swap":   s.SwapState(t.Context(), "ring", 0, []byte("x")),
		"revoke": revokeErr,
	} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "point the address at the primary") {
			t.Errorf("%s: got %v, want ErrUnavailable with the mend", what, err)
		}
	}
}
