package store_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// ordinaryBlob is what two JWTs of 700 bytes and their manifest are, sealed and padded.
const ordinaryBlob = 2560

// A take is one command of the client, and reads each key once.
func TestRedisTakeIsOneCommand(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	take := func() {
		if _, err := s.Take(t.Context(), r.JTI); err != nil {
			t.Fatal(err)
		}
	}
	take() // brings the script
	server.ResetCommands()
	const n = 100
	for range n {
		take()
	}
	got := server.Commands()
	delete(got, "config|resetstat")
	want := map[string]int{"evalsha_ro": n, "info": n, "hmget": 3 * n} // the last two inside
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d takes: Redis ran (-want +got):\n%s", n, diff)
	}
}

// A name that is not one costs Redis nothing.
func TestRedisHostileNamesSendNoCommand(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	put(t, s)
	server.ResetCommands()
	for range 100 {
		_, _ = s.Take(t.Context(), "a\r\nFLUSHALL\r\n")
		_, _ = s.Inspect(t.Context(), "*")
		_, _, _ = s.State(t.Context(), "")
	}
	if got := server.Commands(); len(got) > 2 || got["config|resetstat"]+got["info"] != len(got) {
		t.Errorf("Redis ran %v, want nothing but the test's own", got)
	}
}

// All that one grant costs in Redis, by its own count, is under 4 KiB; and all of it is in the documented keys.
func TestRedisMemoryOfOneGrant(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	r := storetest.NewRecord()
	r.Blob = make([]byte, ordinaryBlob)
	if err := s.Put(t.Context(), r, store.Quota{}); err != nil {
		t.Fatal(err)
	}
	var total int64
	want := map[string]bool{"coatcheck:{0}:record:" + r.JTI: true, "coatcheck:{0}:head": true, "coatcheck:{0}:floors": true, "coatcheck:{0}:log": true, "coatcheck:{0}:quota:" + r.Client: true}
	for _, key := range server.Keys() {
		if !want[key] {
			t.Errorf("unexpected key %s", key)
		}
		used := server.Do("MEMORY", "USAGE", key, "SAMPLES", "0").(int64)
		t.Logf("%s: %d bytes", key, used)
		if strings.Contains(key, ":record:") || strings.Contains(key, ":quota:") { // the others are there once for all
			total += used
		}
	}
	if total == 0 || total >= 4<<10 {
		t.Errorf("one grant with a blob of %d bytes uses %d bytes of Redis, want under %d", ordinaryBlob, total, 4<<10)
	}
}

// Records and counts end by Redis' own clock, so nothing is left of a client who went away.
func TestRedisKeysExpire(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	r := put(t, s)
	if got := server.Do("EXPIRETIME", "coatcheck:{0}:record:"+r.JTI); got != r.ExpiresAt.Unix() {
		t.Errorf("record: expires at %v, want %d", got, r.ExpiresAt.Unix())
	}
	longest := int64(r.ExpiresAt.Sub(r.IssuedAt).Seconds()) / 16
	quota := "coatcheck:{0}:quota:" + r.Client
	got := server.Do("EXPIRETIME", quota).(int64)
	if got < r.ExpiresAt.Unix() || got > r.ExpiresAt.Unix()+longest {
		t.Errorf("quota: expires at %d, want %d to %d seconds after the record", got, 0, longest)
	}
	shorter := storetest.NewRecord()
	shorter.ExpiresAt = shorter.ExpiresAt.Add(-30 * time.Minute)
	if err := s.Put(t.Context(), shorter, store.Quota{}); err != nil {
		t.Fatal(err)
	}
	if after := server.Do("EXPIRETIME", quota); after != got {
		t.Errorf("quota after a shorter grant: expires at %v, want %d still", after, got)
	}
}

// However many grants of one life a client has, they are counted in a few dozen small fields.
func TestRedisQuotaIsConstantState(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	r := storetest.NewRecord()
	const life = 610 * time.Second
	for i := range 400 { // issued over the last ten minutes
		each := storetest.NewRecord()
		each.IssuedAt = each.IssuedAt.Add(-time.Duration(i) * 1500 * time.Millisecond).Truncate(time.Second)
		each.ExpiresAt = each.IssuedAt.Add(life)
		if err := s.Put(t.Context(), each, store.Quota{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.Do("HLEN", "coatcheck:{0}:quota:"+r.Client).(int64); n < 16 || n > 33 {
		t.Errorf("400 grants of one life are counted in %d buckets, want 16 to 33", n)
	}
}

// Memory and the scripts put a grant into the same bucket.
func TestRedisBucketsAreThoseOfMemory(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	for life := time.Second * 5; life < 20*365*24*time.Hour; life = life*2 + 7*time.Second {
		r := storetest.NewRecord()
		r.Client, r.ExpiresAt = storetest.NewRecord().JTI, r.IssuedAt.Add(life)
		if err := s.Put(t.Context(), r, store.Quota{}); err != nil {
			t.Fatal(err)
		}
		got := server.Do("HKEYS", "coatcheck:{0}:quota:"+r.Client).([]any)
		want := strconv.FormatInt(store.BucketEnd(r.IssuedAt.Unix(), r.ExpiresAt.Unix()), 10)
		if len(got) != 1 || got[0] != want {
			t.Errorf("life of %v to %d: got buckets %v, want %s", life, r.ExpiresAt.Unix(), got, want)
		}
	}
}

func BenchmarkTakeRedis(b *testing.B) {
	s := opened(b, storetest.StartRedis(b))
	r := storetest.NewRecord()
	r.Blob = make([]byte, ordinaryBlob)
	if err := s.Put(b.Context(), r, store.Quota{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Take(b.Context(), r.JTI); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutRedis(b *testing.B) {
	s := opened(b, storetest.StartRedis(b))
	b.ReportAllocs()
	for b.Loop() {
		r := storetest.NewRecord()
		r.Blob = make([]byte, ordinaryBlob)
		if err := s.Put(b.Context(), r, store.Quota{}); err != nil {
			b.Fatal(err)
		}
	}
}
