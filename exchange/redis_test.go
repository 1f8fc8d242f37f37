package exchange_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// The same story on the store that counts: two edges that follow its log, a grant that is revoked, and a server that goes.
func TestSwapOnRedis(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	redis, err := store.NewRedis(store.RedisConfig{Addr: server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	openShards(t, redis, 4*time.Second)
	k := newKit(t, hold)
	log := follow(t, redis)
	k.depositor = exchange.NewDepositor(k.stamper, redis, log)
	onRedis := func(c *exchange.Config) { c.Records, c.Log = redis, log }
	edges := []*exchange.Exchange{k.newEdge(onRedis), k.newEdge(onRedis)}
	gone, goneRaw := k.issue()
	kept, keptRaw := k.issue()

	for _, k.edge = range edges {
		for _, raw := range []string{goneRaw, keptRaw} {
			k.decide(k.pass(raw, exchange.Leased, exchange.SourceMiss))
			storetest.Eventually(t, patience, "the cache answers", func() bool { return k.sourceOf(raw) == exchange.SourceHit })
		}
	}
	if err := k.depositor.Deposit(t.Context(), kept.reference, kept.deposit()); !errors.Is(err, exchange.ErrUnavailable) {
		t.Errorf("second deposit of one reference: %v, want unavailable", err)
	}
	if _, err := redis.Revoke(t.Context(), 0, author, "", []store.Numbered{{
		Number: 1, Revocation: store.Revocation{Kind: store.KindToken, Name: gone.manifest.JTI, Until: gone.manifest.ExpiresAt},
	}}, 0); err != nil {
		t.Fatal(err)
	}
	for _, k.edge = range edges {
		storetest.Eventually(t, patience, "the revoked grant is refused", func() bool {
			_, _, err := k.edge.Swap(t.Context(), goneRaw, exchange.Leased)
			return errors.Is(err, exchange.ErrInactive)
		})
		k.sourceOf(keptRaw)
	}

	server.Kill()
	for _, k.edge = range edges {
		storetest.Eventually(t, patience, "nothing is decided without the store", func() bool {
			_, _, err := k.edge.Swap(t.Context(), keptRaw, exchange.Leased)
			return errors.Is(err, exchange.ErrUnavailable)
		})
	}
}
