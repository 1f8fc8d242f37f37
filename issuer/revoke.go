package issuer

import (
	"context"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
)

// Revoker is what the issuer needs of revocation.Revoker. It is an interface because tests must show one that cannot.
type Revoker interface {
	Revoke(ctx context.Context, rs ...revocation.Revocation) (revocation.Receipt, error)
	Pretend(ctx context.Context) error
}

// Grants is how the issuer looks at a presented reference: exchange.Exchange is one.
type Grants interface {
	Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error)
}

// Listing is what administration needs of the store; each method is that of store.Redis.
type Listing interface {
	Shards() int
	List(ctx context.Context, shard int, cursor uint64, limit int) (found []revocation.Listed, next uint64, err error)
	Inspect(ctx context.Context, jti string) (revocation.Listed, error)
	Seen(ctx context.Context) ([]revocation.Seen, error)
}
