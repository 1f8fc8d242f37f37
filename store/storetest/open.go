package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Lease is what Open gives each shard.
const Lease = 500 * time.Millisecond

// Issuer is the name of the one issuer that Open votes for.
const Issuer = "issuer-1"

// Opener is what Open needs of a store.
type Opener interface {
	Shards() int
	Shard(ctx context.Context, shard int, issuer string) (store.Shard, error)
	Open(ctx context.Context, shard int, o store.Opening) (ended bool, err error)
}

// Open opens every closed shard as an issuer does who waits for nobody: what was there before it ends, in a shard that
// was not empty. A store that is new can be used after it.
func Open(t testing.TB, s Opener) {
	t.Helper()
	for i := range s.Shards() {
		now, err := s.Shard(t.Context(), i, Issuer)
		if err != nil {
			t.Fatal(err)
		}
		if now.Open {
			continue
		}
		o := store.Opening{Replication: now.Replication, Issuers: []string{Issuer}, Missing: true, Lease: Lease}
		if _, err := s.Open(t.Context(), i, o); err != nil {
			t.Fatal(err)
		}
	}
}
