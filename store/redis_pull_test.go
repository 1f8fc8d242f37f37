package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// TestRedisPullIsOneRoundTrip: of all shards, with the edge's own news.
func TestRedisPullIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	trips := newWire(t, server, l)
	s := opened(t, server, func(c *store.RedisConfig) { c.Addr, c.Shards = l.Addr().String(), 4 })
	pull := func() {
		for _, p := range s.Pull(t.Context(), make([]store.Position, 4), "edge-1") {
			if p.Err != nil {
				t.Fatal(p.Err)
			}
		}
	}
	pull() // brings the script
	server.ResetCommands()
	before := trips.requests.Load()
	const n = 10
	for range n {
		pull()
	}
	if got := trips.requests.Load() - before; got != n {
		t.Errorf("%d pulls: %d requests on the wire, want one each", n, got)
	}
	if c := server.Commands(); c["evalsha_ro"] != 4*n || c["hset"] != n || c["eval_ro"] != 0 {
		t.Errorf("%d pulls of 4 shards: Redis ran %v", n, c)
	}
}

// TestRedisPullHasItsOwnConnection: when every other connection waits, the lease does not.
func TestRedisPullHasItsOwnConnection(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	enrol(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	pool := 10 * runtime.GOMAXPROCS(0) // go-redis' default
	var all sync.WaitGroup
	for range 2 * pool {
		all.Go(func() { _, _ = s.Revoke(ctx, 0, author, "", number(1, store.KindClient, "c"), 1) }) // waits for a replica that there is not
	}
	t.Cleanup(all.Wait)
	t.Cleanup(cancel)
	storetest.Eventually(t, recovery, "the pool to be used up", func() bool {
		return strings.Contains(server.Do("INFO", "clients").(string), fmt.Sprintf("blocked_clients:%d\r\n", pool))
	})
	if _, err := s.Take(withTimeout(t, 100*time.Millisecond), newName()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("take: got %v, want it to wait in vain", err)
	}
	if p := s.Pull(withTimeout(t, testTimeout/4), make([]store.Position, 1), "")[0]; p.Err != nil {
		t.Errorf("pull: %v", p.Err)
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestRedisForgetsScriptsOfTheLog: what was sent without its script has not run, and the rest of a batch neither.
func TestRedisForgetsScriptsOfTheLog(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server, func(c *store.RedisConfig) { c.Shards = 4 })
	enrol(t, s)
	before, err := s.Shard(t.Context(), 0, author.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n < 10; n += 3 {
		server.Do("SCRIPT", "FLUSH")
		batch := append(append(number(n, store.KindClient, "a"), number(n+1, store.KindClient, "b")...), number(n+2, store.KindClient, "c")...)
		got, err := s.Revoke(t.Context(), 0, author, "", batch, 0)
		if err != nil || got.Done != n+2 || got.At.Seq != before.At.Seq+n+2 {
			t.Errorf("revoke %d to %d: got %+v, %v, want each done once", n, n+2, got, err)
		}
		server.Do("SCRIPT", "FLUSH")
		for i, p := range s.Pull(t.Context(), make([]store.Position, 4), "") {
			if p.Err != nil {
				t.Errorf("pull of shard %d: %v", i, p.Err)
			}
		}
	}
}

// TestRedisDamagedLog: whatever stands in the log, an edge is told to flush, and never less.
func TestRedisDamagedLog(t *testing.T) {
	t.Parallel()
	const log = "coatcheck:{0}:log"
	for name, damage := range map[string]func(server *storetest.Redis, seq uint64){
		"the log is gone":         func(r *storetest.Redis, _ uint64) { r.Do("DEL", log) },
		"the log is a string":     func(r *storetest.Redis, _ uint64) { r.Do("DEL", log); r.Do("SET", log, "x") },
		"an entry is gone":        func(r *storetest.Redis, seq uint64) { r.Do("XDEL", log, fmt.Sprintf("%d-0", seq+2)) },
		"the first is gone":       func(r *storetest.Redis, seq uint64) { r.Do("XDEL", log, fmt.Sprintf("%d-0", seq+1)) },
		"the last is gone":        func(r *storetest.Redis, seq uint64) { r.Do("XDEL", log, fmt.Sprintf("%d-0", seq+3)) },
		"the head is behind":      func(r *storetest.Redis, _ uint64) { r.Do("HINCRBY", "coatcheck:{0}:head", "seq", "-1") },
		"the head is ahead":       func(r *storetest.Redis, _ uint64) { r.Do("HINCRBY", "coatcheck:{0}:head", "seq", "1") },
		"the head is far ahead":   func(r *storetest.Redis, _ uint64) { r.Do("HINCRBY", "coatcheck:{0}:head", "seq", "100001") },
		"the head has another id": func(r *storetest.Redis, _ uint64) { r.Do("HSET", "coatcheck:{0}:head", "id", "another") },
		"the log was begun afresh": func(r *storetest.Redis, seq uint64) {
			refill(r, log, seq, "x y client z 1", "y z client z 1", "z w client z 1")
		},
		"an entry is no text": func(r *storetest.Redis, seq uint64) { refill(r, log, seq, "", "", "") },
		"an entry is huge": func(r *storetest.Redis, seq uint64) {
			huge := strings.Repeat("x", 1<<20)
			refill(r, log, seq, huge, huge, huge)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.StartRedis(t)
			s := opened(t, server)
			enrol(t, s)
			from := s.Pull(t.Context(), make([]store.Position, 1), "")[0].At
			for n := uint64(1); n < 4; n++ {
				if _, err := s.Revoke(t.Context(), 0, author, "", number(n, store.KindClient, "c"), 0); err != nil {
					t.Fatal(err)
				}
			}
			if p := s.Pull(t.Context(), []store.Position{from}, "")[0]; p.Flush || len(p.Entries) != 3 {
				t.Fatalf("before: got %+v, want 3 entries", p)
			}
			damage(server, from.Seq)
			if p := s.Pull(t.Context(), []store.Position{from}, "")[0]; p.Err != nil || !p.Flush || len(p.Entries) != 0 {
				t.Errorf("got %+v, want a flush", p)
			}
		})
	}
}

// refill puts other entries under the numbers after seq.
func refill(r *storetest.Redis, log string, seq uint64, texts ...string) {
	r.Do("DEL", log)
	for i, text := range texts {
		r.Do("XADD", log, fmt.Sprintf("%d-0", seq+uint64(i)+1), "e", text)
	}
}

// TestRedisHostilePulls: what is no answer of ours is an error, never a lease.
func TestRedisHostilePulls(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	w := newWire(t, server, l)
	s := opened(t, server, func(c *store.RedisConfig) { c.Addr = l.Addr().String() })
	from := s.Pull(t.Context(), make([]store.Position, 1), "")[0].At
	answer := func(values ...string) string {
		text := fmt.Sprintf("*%d\r\n", len(values))
		for _, v := range values {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
		}
		return text
	}
	at, next := fmt.Sprint(from.Seq), fmt.Sprint(from.Seq+1)
	rows := map[string]string{
		"another shard's":            answer("1", "ok", "0", at, from.ID, at, "inc", "500", "", ""),
		"another position's":         answer("0", "ok", "0", next, "other", next, "inc", "500", "", ""),
		"too short":                  answer("0", "ok", "0", at, from.ID, at, "inc", "500", ""),
		"a lease of no number":       answer("0", "ok", "0", at, from.ID, at, "inc", "soon", "", ""),
		"a lease of years":           answer("0", "ok", "0", at, from.ID, at, "inc", "99999999999", "", ""),
		"a seq of no number":         answer("0", "ok", "1", "x", from.ID, at, "inc", "500", "", ""),
		"an entry left out":          answer("0", "ok", "0", fmt.Sprint(from.Seq+2), "b", fmt.Sprint(from.Seq+2), "inc", "500", "", fmt.Sprintf("%d b client c 1", from.Seq+2)),
		"an entry of too many words": answer("0", "ok", "0", next, "b", next, "inc", "500", "", next+" b client c 1 2"),
		"no array":                   "+OK\r\n",
	}
	for _, row := range hostileReplies {
		rows[row.name] = row.reply
	}
	for name, reply := range rows {
		w.once(func([]byte) []byte { return []byte(reply) })
		if p := s.Pull(t.Context(), []store.Position{from}, "")[0]; !errors.Is(p.Err, store.ErrUnavailable) || p.Lease != 0 {
			t.Errorf("%s: got %+v, want ErrUnavailable", name, p)
		}
		if p := s.Pull(t.Context(), []store.Position{from}, "")[0]; p.Err != nil || p.Flush || p.At != from {
			t.Errorf("after %s: got %+v, want nothing new", name, p)
		}
	}
}

// TestRedisFlushesWhoIsTooFarBehind: 100,000 entries are read page by page, one more is not.
func TestRedisFlushesWhoIsTooFarBehind(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	from := s.Pull(t.Context(), make([]store.Position, 1), "")[0].At
	const write = `for i = 1, tonumber(ARGV[3]) do
		redis.call('XADD', KEYS[1], string.format('%.0f-0', ARGV[1] + i), 'e', (i == 1 and ARGV[2] or i - 1) .. ' ' .. i .. ' client c 4102444800')
	end
	redis.call('HSET', KEYS[2], 'seq', string.format('%.0f', ARGV[1] + ARGV[3]), 'id', ARGV[3])`
	for _, row := range []struct {
		behind string
		flush  bool
	}{{"100000", false}, {"100001", true}} {
		server.Do("DEL", "coatcheck:{0}:log")
		server.Do("EVAL", write, "2", "coatcheck:{0}:log", "coatcheck:{0}:head", fmt.Sprint(from.Seq), from.ID, row.behind)
		p := s.Pull(t.Context(), []store.Position{from}, "")[0]
		if p.Err != nil || p.Flush != row.flush || p.More == row.flush || (len(p.Entries) == 1000) == row.flush {
			t.Errorf("%s behind: got %d entries, flush %v, more %v, %v; want flush %v", row.behind, len(p.Entries), p.Flush, p.More, p.Err, row.flush)
		}
	}
}
