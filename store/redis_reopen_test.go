package store_test

import (
	"fmt"
	"testing"

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
