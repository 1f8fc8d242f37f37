package store_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// A name costs Redis one command and one small key, which Redis itself drops.
func TestRedisNamesExpire(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	from := time.Now().Add(time.Minute).Truncate(time.Second)
	if err := storetest.Taken(s.Once(t.Context(), "x", from, from.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	const key = "coatcheck:{0}:once:x"
	// Five seconds longer than asked, for clocks that differ.
	if got, want := server.Do("EXPIRETIME", key), from.Add(65*time.Second).Unix(); got != want {
		t.Errorf("the name ends at %v, want %v", got, want)
	}
	if used := server.Do("MEMORY", "USAGE", key).(int64); used > 200 {
		t.Errorf("a name uses %d bytes of Redis, want at most 200", used)
	}
	server.ResetCommands()
	_, _ = s.Once(t.Context(), "x", from, from.Add(time.Minute))
	if got := server.Commands(); got["evalsha"] != 1 {
		t.Errorf("one name: Redis ran %v, want one script", got)
	}
}

// A head that does not say since when it is open, of an earlier version, is one of now: names can be taken a little later.
func TestRedisNamesOfAHeadWithoutItsBeginning(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := opened(t, server)
	for _, since := range []string{"", "soon", "1e400"} {
		if server.Do("HDEL", "coatcheck:{0}:head", "since"); since != "" {
			server.Do("HSET", "coatcheck:{0}:head", "since", since)
		}
		now := time.Now()
		if err := storetest.Taken(s.Once(t.Context(), "x"+since, now, now.Add(time.Minute))); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("since %q: once: %v, want ErrUnavailable", since, err)
		}
		if later := now.Add(time.Minute); storetest.Taken(s.Once(t.Context(), "y"+since, later, later)) != nil {
			t.Errorf("since %q: a name of later was not taken", since)
		}
	}
}

// Memory forgets names as Redis does.
func TestMemoryNamesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := openMemory(t)
		time.Sleep(time.Minute)
		take := func() error {
			return storetest.Taken(m.Once(t.Context(), "x", time.Now(), time.Now().Add(time.Minute)))
		}
		if err := take(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + 4*time.Second)
		if err := take(); !errors.Is(err, store.ErrExists) {
			t.Errorf("a name a little after its end: %v, want ErrExists", err)
		}
		time.Sleep(time.Second)
		if err := take(); err != nil {
			t.Errorf("a name five seconds after its end: %v, want it taken", err)
		}
	})
}
