package exchange_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// The same story on the store that counts: two edges, a record that goes, and a server that goes.
func TestSwapOnRedis(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	redis, err := store.NewRedis(store.RedisConfig{Addr: server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	k := newKit(t)
	k.depositor = exchange.NewDepositor(k.stamper, redis)
	onRedis := func(c *exchange.Config) { c.Records, c.Lease = redis, time.Hour }
	k.edge = k.newEdge(onRedis)
	gone, goneRaw := k.issue()
	kept, keptRaw := k.issue()

	for _, raw := range []string{goneRaw, keptRaw} {
		k.swap(raw, exchange.SourceMiss)
		k.swap(raw, exchange.SourceHit)
		if _, source, err := k.newEdge(onRedis).Swap(t.Context(), raw); err != nil || source != exchange.SourceMiss {
			t.Errorf("second edge: source %q, error %v", source, err)
		}
	}
	if err := k.depositor.Deposit(t.Context(), kept.reference, kept.deposit()); !errors.Is(err, exchange.ErrUnavailable) {
		t.Errorf("second deposit of one reference: %v, want unavailable", err)
	}
	if _, err := redis.Delete(t.Context(), gone.manifest.JTI); err != nil {
		t.Fatal(err)
	}
	k.edge.Drop(gone.manifest.JTI)
	k.refused(goneRaw, exchange.ReasonUnknown)

	server.Kill()
	k.swap(keptRaw, exchange.SourceHit)
	k.edge.Drop(kept.manifest.JTI)
	k.refused(keptRaw, exchange.ReasonUnavailable)
}
