package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// Keys of another type are somebody else's work: corrupt, and no panic.
func TestRedisKeysOfAnotherType(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	for i, kind := range []string{"record", "head", "quota", "state"} {
		prefix := fmt.Sprintf("p%d", i)
		s := connect(t, server, func(c *store.RedisConfig) { c.Prefix = prefix })
		r := put(t, s)
		key := prefix + ":{0}:" + map[string]string{
			"record": "record:" + r.JTI, "head": "head", "quota": "quota:" + r.Client, "state": "state:ring",
		}[kind]
		server.Do("DEL", key)
		server.Do("SET", key, "a string")
		want := map[string]error{"head": store.ErrUnavailable}[kind] // it says nothing about a record
		if want == nil {
			want = store.ErrCorrupt
		}
		if _, err := s.Take(t.Context(), r.JTI); (kind == "record" || kind == "head") && !errors.Is(err, want) {
			t.Errorf("%s: take: got %v, want %v", kind, err, want)
		}
		if err := s.Put(t.Context(), storetest.NewRecord(), store.Quota{}); (kind == "head" || kind == "quota") && !errors.Is(err, want) {
			t.Errorf("%s: put: got %v, want %v", kind, err, want)
		}
		_, _, stateErr := s.State(t.Context(), "ring")
		if kind == "state" && (!errors.Is(stateErr, store.ErrCorrupt) || !errors.Is(s.SwapState(t.Context(), "ring", 0, []byte("x")), store.ErrCorrupt)) {
			t.Errorf("state: got %v, want ErrCorrupt", stateErr)
		}
		if kind == "head" {
			if _, err := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0); !errors.Is(err, want) {
				t.Errorf("head: revoke: got %v, want %v", err, want)
			}
		} else if !storetest.Revoke(t, s, r.JTI) {
			t.Errorf("%s: revoke: found no record: what is damaged can be removed", kind)
		}
	}
}

// TestRedisDamagedHead: what is wrong with what belongs to a whole shard says nothing about its records, so no client may
// be told that its reference is dead; and nothing is written on top of it. The mend that the error names is one.
func TestRedisDamagedHead(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	const head, floors = "coatcheck:{0}:head", "coatcheck:{0}:floors"
	huge := strings.Repeat("9", 1<<20)
	for _, row := range []struct {
		name  string
		bring [][]string
	}{
		{"seq is long", [][]string{{"HSET", head, "seq", strings.Repeat("0", 1<<20) + "1"}}},
		{"seq is huge", [][]string{{"HSET", head, "seq", huge}}},
		{"seq is over 64 bits", [][]string{{"HSET", head, "seq", "99999999999999999999"}}},
		{"seq is negative", [][]string{{"HSET", head, "seq", "-1"}}},
		{"seq is a fraction", [][]string{{"HSET", head, "seq", "1.5"}}},
		{"seq is no number", [][]string{{"HSET", head, "seq", "abc"}}},
		{"seq is gone", [][]string{{"HDEL", head, "seq"}}},
		{"the incarnation is gone", [][]string{{"HDEL", head, "incarnation"}}},
		{"the lease is gone", [][]string{{"HDEL", head, "lease"}}},
		{"lease is no number", [][]string{{"HSET", head, "lease", "soon"}}},
		{"incarnation is huge", [][]string{{"HSET", head, "incarnation", huge}}},
		{"the head is a string", [][]string{{"DEL", head}, {"SET", head, "x"}}},
		{"the floors are a string", [][]string{{"DEL", floors}, {"SET", floors, "x"}}},
		{"a floor is no number", [][]string{{"HSET", floors, "all", "x"}}},
		{"a floor is huge", [][]string{{"HSET", floors, "before", huge}}},
	} {
		r := put(t, s)
		for _, c := range row.bring {
			server.Do(c...)
		}
		_, takeErr := s.Take(t.Context(), r.JTI)
		refused := storetest.NewRecord()
		for what, err := range map[string]error{"take": takeErr, "put": s.Put(t.Context(), refused, store.Quota{})} {
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "mend: delete the keys") {
				t.Errorf("%s: %s: got %v, want ErrUnavailable with the mend", row.name, what, err)
			}
		}
		if n := server.Do("EXISTS", "coatcheck:{0}:record:"+refused.JTI); n != int64(0) {
			t.Errorf("%s: put left a record", row.name)
		}
		server.Do("DEL", head, floors, "coatcheck:{0}:log")
		if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s, mended: take: got %v, want ErrClosed", row.name, err)
		}
		put(t, s)
		if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s, mended and opened: take of an earlier record: got %v, want ErrNotFound", row.name, err)
		}
	}
}

// TestRedisHeadDamagedBesidesWhatTakeReads: nothing is written then, and no edge gets a lease for what it keeps; what take
// answers does not depend on it.
func TestRedisHeadDamagedBesidesWhatTakeReads(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	for _, field := range []string{"id", "sleep", "began", "lease_id"} {
		s := connect(t, server, func(c *store.RedisConfig) { c.Prefix = field })
		r := put(t, s)
		enrol(t, s)
		server.Do("HDEL", field+":{0}:head", field)
		_, revokeErr := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0)
		for what, err := range map[string]error{
			"put":    s.Put(t.Context(), storetest.NewRecord(), store.Quota{}),
			"pull":   s.Pull(t.Context(), make([]store.Position, 1), "")[0].Err,
			"revoke": revokeErr,
		} {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "mend: delete the keys") {
				t.Errorf("%s is gone: %s: got %v, want ErrUnavailable with the mend", field, what, err)
			}
		}
		if _, err := s.Take(t.Context(), r.JTI); err != nil {
			t.Errorf("%s is gone: take: %v", field, err)
		}
	}
}

// TestRedisHeadWithALongLease: no edge goes on for an hour by an answer because the head says so. Issuers see what it says.
func TestRedisHeadWithALongLease(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	server.Do("HSET", "coatcheck:{0}:head", "lease", "3600000", "sleep", "3600000")
	taken, err := s.Take(t.Context(), r.JTI)
	if p := s.Pull(t.Context(), make([]store.Position, 1), "")[0]; err != nil || p.Err != nil || taken.Lease != time.Minute || p.Lease != time.Minute {
		t.Errorf("take: got %v, %v; pull: %v, %v; want a lease of a minute", taken.Lease, err, p.Lease, p.Err)
	}
	if now, err := s.Shard(t.Context(), 0, author.Issuer); err != nil || now.Lease != time.Hour || now.Sleep != time.Hour {
		t.Errorf("shard: got %+v, %v, want an hour", now, err)
	}
}

// TestRedisDamagedQuota: whatever stands in a client's quota, a grant that is refused for it leaves nothing behind.
func TestRedisDamagedQuota(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	for field, value := range map[string]string{
		"x": "1:1", "9999999999": "x", "inf": "1:1", "-inf": "1:1", "nan": "1:1", "99999999999999999999": "1:1", "9007199254740993": "1:1",
		"9999999998": strings.Repeat("9", 400) + ":1", "9999999997": "1:" + strings.Repeat("9", 400), "9999999996": "1:99999999999999999999",
	} {
		r := storetest.NewRecord()
		server.Do("HSET", "coatcheck:{0}:quota:"+r.Client, field, value)
		if err := s.Put(t.Context(), r, store.Quota{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("put with quota %s = %.40s: got %v, want ErrCorrupt", field, value, err)
		}
		if n := server.Do("EXISTS", "coatcheck:{0}:record:"+r.JTI); n != int64(0) {
			t.Errorf("put with quota %s = %.40s left a record without a reference", field, value)
		}
		server.Do("DEL", "coatcheck:{0}:quota:"+r.Client)
	}
	r := storetest.NewRecord()
	server.Do("HSET", "coatcheck:{0}:quota:"+r.Client, "9007199254740991", "9007199254740991:9007199254740991")
	if err := s.Put(t.Context(), r, store.Quota{}); err != nil {
		t.Errorf("put beside the largest quota that can be: %v", err)
	}
}

// Values of any size in a state are refused where they are, so that they never travel.
func TestRedisDamagedState(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	huge := strings.Repeat("9", 1<<20)
	for _, fields := range [][]string{
		{"version", "1"}, {"blob", "x"}, {"version", "0", "blob", "x"}, {"version", huge, "blob", "x"}, {"version", "1", "blob", huge + "9"},
	} {
		server.Do("DEL", "coatcheck:{0}:state:ring")
		server.Do(append([]string{"HSET", "coatcheck:{0}:state:ring"}, fields...)...)
		if _, _, err := s.State(t.Context(), "ring"); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("state of %d fields, first %s: got %v, want ErrCorrupt", len(fields)/2, fields[0], err)
		}
	}
}

// TestRedisBatchStopsAtTheFirstThatFails: Redis runs the rest of a pipeline all the same.
func TestRedisBatchStopsAtTheFirstThatFails(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	enrol(t, s)
	r := put(t, s)
	batch := append(append(number(1, store.KindToken, newName()), number(2, store.KindClient, "c")...), number(3, store.KindToken, r.JTI)...)
	server.Do("RENAME", "coatcheck:{0}:floors", "aside")
	server.Do("SET", "coatcheck:{0}:floors", "x") // tokens have nothing to do with it
	got, err := s.Revoke(t.Context(), 0, author, "", batch, 0)
	if !errors.Is(err, store.ErrUnavailable) || got.Done != 1 {
		t.Errorf("revoke: got %+v, %v, want the first alone done", got, err)
	}
	if now, err := s.Shard(t.Context(), 0, author.Issuer); err != nil || now.Done != 1 {
		t.Errorf("shard: got %+v, %v, want 1 done", now, err)
	}
	server.Do("RENAME", "aside", "coatcheck:{0}:floors")
	if got, err := s.Revoke(t.Context(), 0, author, "", batch, 0); err != nil || got.Done != 3 || !got.Found[2] {
		t.Errorf("revoke again: got %+v, %v, want all done", got, err)
	}
}

// TestRedisSeenByAClockFarAhead: an edge may write what it likes about itself, and so could spoil the list of all.
func TestRedisSeenByAClockFarAhead(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	s.Pull(t.Context(), make([]store.Position, 1), "edge-1")
	for _, text := range []string{"9007199254740991 1", "300000000000000 1", "99999999999999999999 1", "x"} {
		server.Do("HSET", "coatcheck:{0}:seen", "edge-2", text)
		if seen, err := s.Seen(t.Context()); err != nil || len(seen) != 1 || seen[0].Edge != "edge-1" {
			t.Errorf("with an edge at %q: got %v, %v, want the other alone", text, seen, err)
		}
		if left := server.Do("HEXISTS", "coatcheck:{0}:seen", "edge-2"); left != int64(0) {
			t.Errorf("an edge at %q is not forgotten", text)
		}
	}
}
