package revocation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"go.opentelemetry.io/otel/metric"
)

// ErrNotDurable: the revocation is in the journal and will be made, but is not in force yet; whoever asked must assume
// that the tokens work, and ask again. RFC 7009 §2.2.1: 503.
var ErrNotDurable = errors.New("revocation: not in force yet")

// Shards is what a Revoker needs of the store; each method is that of store.Redis.
type Shards interface {
	Shards() int
	ShardOf(jti string) int
	Shard(ctx context.Context, shard int, issuer string) (store.Shard, error)
	Revoke(ctx context.Context, shard int, by store.Author, fence string, batch []store.Numbered, replicas int) (store.Revoked, error)
	Enrol(ctx context.Context, shard int, by store.Author) error
	Vote(ctx context.Context, shard int, by store.Author, replication string, whole bool) error
	Open(ctx context.Context, shard int, o store.Opening) (ended bool, err error)
	SetLease(ctx context.Context, shard int, old, lease, sleep time.Duration) error
}

// RevokerConfig configures a Revoker.
type RevokerConfig struct {
	Shards  Shards   // required
	Journal *Journal // required
	Issuer  string   // required; this issuer's name, one of Issuers
	Issuers []string // required; the static list of all issuers of the system, the same for each of them
	// Lease is what edges are told; default 500 ms. Shorter costs more pulls, longer makes each revocation wait.
	Lease time.Duration
	// Replicas that must have a revocation before it counts; default 0: the journal alone makes it durable.
	Replicas int
	// Missing is how long a closed shard waits for the other issuers before it is opened without them, which ends
	// every grant issued before; default 30 s.
	Missing time.Duration
	Logger  *slog.Logger         // nil: discards
	Meter   metric.MeterProvider // nil: none
}

// Receipt says what a revocation did. It has been in force on every edge from the moment that it was returned.
type Receipt struct {
	Number uint64   // of the last entry in this issuer's journal
	Found  int      // records that were there and are named by their jti
	Seq    []uint64 // by shard: where the log stands; 0 for a shard that was not concerned
}

// Revoker is an issuer's half. Run keeps every shard open and brings the journal into it; Revoke waits for that.
type Revoker struct{}

// NewRevoker checks its configuration; it touches nothing.
func NewRevoker(c RevokerConfig) (*Revoker, error) { panic("contract") }

// Run works until ctx ends; it returns nil then.
func (r *Revoker) Run(ctx context.Context) error { panic("contract") }

// Ready says which shard is closed, and why; nil: all are open and have this journal.
func (r *Revoker) Ready() error { panic("contract") }

// Revoke ends what rs name, all or ErrNotDurable. It returns after the leases of all edges have run out, and always after
// the same time when nothing is wrong, so that nobody learns from it whether a token was alive.
func (r *Revoker) Revoke(ctx context.Context, rs ...Revocation) (Receipt, error) { panic("contract") }

// Pretend takes as long as a Revoke that names nothing alive, and does nothing.
func (r *Revoker) Pretend(ctx context.Context) error { panic("contract") }
