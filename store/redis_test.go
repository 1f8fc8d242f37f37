package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// testTimeout is generous, so that a busy test machine does not read as a Redis that is away.
const testTimeout = 10 * time.Second

func TestRedis(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	var stores atomic.Int64
	for _, n := range shards {
		t.Run(fmt.Sprintf("shards=%d", n), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Store {
				prefix := fmt.Sprintf("suite-%d", stores.Add(1))
				return corruptible{connect(t, server, func(c *store.RedisConfig) { c.Prefix, c.Shards = prefix, n }), server, prefix}
			})
		})
	}
}

// connect opens a store on server, configured further by set.
func connect(t testing.TB, server *storetest.Redis, set ...func(*store.RedisConfig)) *store.Redis {
	t.Helper()
	c := store.RedisConfig{Addr: server.Addr, Timeout: testTimeout}
	for _, s := range set {
		s(&c)
	}
	r, err := store.NewRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) // the suite has closed its own already
	return r
}

// opened is connect, and the shards are opened.
func opened(t testing.TB, server *storetest.Redis, set ...func(*store.RedisConfig)) *store.Redis {
	t.Helper()
	r := connect(t, server, set...)
	storetest.Open(t, r)
	return r
}

type corruptible struct {
	*store.Redis
	server *storetest.Redis
	prefix string
}

func (c corruptible) Corrupt(t *testing.T, jti, field, value string) {
	t.Helper()
	key := fmt.Sprintf("%s:{%d}:record:%s", c.prefix, c.ShardOf(jti), jti)
	if value == "" {
		c.server.Do("HDEL", key, field)
		return
	}
	c.server.Do("HSET", key, field, value)
}
