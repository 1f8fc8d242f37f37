package issuer

import (
	"log/slog"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/trust/trusttest"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// TestS4_OfParallelUsesAtThreeIssuersOneFamilyLives: on one Redis. COATCHECK_RACES says how many times; 20 by default.
func TestS4_OfParallelUsesAtThreeIssuersOneFamilyLives(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	issuers := newRedisKits(t, storetest.StartRedis(t), idp, 3)
	for range races(t) {
		issuers[0].race(t, issuers, idp)
	}
}

// TestS3_ReplayIsSeenAfterARestartOfRedis, by an issuer that has never seen the family, in a Redis that was stopped and started
// with its data.
func TestS3_ReplayIsSeenAfterARestartOfRedis(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	server := storetest.StartRedis(t)
	issuers := newRedisKits(t, server, idp, 1)
	first := issuers[0].token(t, bearerOf(idp.Token(t, trusttest.Claims()), "scope", "orders:read"))
	second := issuers[0].token(t, refreshOf("portal", first.RefreshToken))
	third := issuers[0].token(t, refreshOf("portal", second.RefreshToken))
	server.Do("SAVE")
	server.Kill()
	server.Restart()
	vouch(t, issuers[0].ended.store, issuers[0].ended.author)
	again := newRedisKits(t, server, idp, 1)[0]
	again.ended = issuers[0].ended
	again.revoker = again.ended
	again.refusedExchange(t, "the first token", refreshOf("portal", first.RefreshToken), "invalid_grant")
	again.refusedExchange(t, "the newest token", refreshOf("portal", third.RefreshToken), "invalid_grant")
}

// newRedisKits are issuers with one revoker on one Redis; of a kit only what the token endpoint needs.
func newRedisKits(t testing.TB, server *storetest.Redis, idp *trusttest.Issuer, n int) (kits []*kit) {
	t.Helper()
	var ended *recorder
	for range n {
		s, err := store.NewRedis(store.RedisConfig{Addr: server.Addr, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		if ended == nil {
			ended = newRecorder(t, s)
		}
		stamper := testStamper(t)
		edges, err := revocation.NewFollower(revocation.FollowerConfig{Log: s})
		if err != nil {
			t.Fatal(err)
		}
		keys := &lateKeys{}
		edge, err := exchange.New(exchange.Config{Issuer: testIssuer, Stamper: stamper, Records: s, Keys: keys, Log: edges, Origins: true})
		if err != nil {
			t.Fatal(err)
		}
		c := testConfig(t)
		c.Names, c.State, c.Depositor, c.Revoker, c.Grants, c.Listing = s, s, exchange.NewDepositor(stamper, s, readLog(t, s)), ended, edge, s
		c.Families, c.Logger = exchange.NewFamilies(c.Depositor, s), slog.New(slog.DiscardHandler)
		withRefresh(t, idp)(&c)
		i, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		keys.KeySource = i.Keys()
		if err := i.keeper.Look(t.Context()); err != nil {
			t.Fatalf("load key ring: %v", err)
		}
		kits = append(kits, &kit{Issuer: i, stamper: stamper, edge: edge, ended: ended})
	}
	return kits
}

// vouch opens shards that were closed with their data: the one issuer that there is knows of nothing that is missing.
func vouch(t testing.TB, s store.Backend, by store.Author) {
	t.Helper()
	for shard := range s.Shards() {
		now, err := s.Shard(t.Context(), shard, storetest.Issuer)
		if err == nil && !now.Open {
			if err = s.Vote(t.Context(), shard, by, now.Replication, true); err == nil {
				_, err = s.Open(t.Context(), shard, store.Opening{Replication: now.Replication, Issuers: []string{storetest.Issuer}, Lease: storetest.Lease})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
