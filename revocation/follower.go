package revocation

import (
	"context"
	"log/slog"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"go.opentelemetry.io/otel/metric"
)

// Log is what a Follower needs of the store. It is an interface because tests delay, lose and cut its answers.
type Log interface {
	// Shards is how many there are; fixed.
	Shards() int
	// Pull reads every shard's log after a position; see store.Redis.Pull. It blocks for a bounded time.
	Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled
	// Take reads one record; it is asked whether the grants of open streams still live, after a gap in the log.
	Take(ctx context.Context, jti string) (store.Taken, error)
}

// FollowerConfig configures a Follower. Only Log is required.
type FollowerConfig struct {
	Log Log
	// Name shows this edge's positions to operators; of [A-Za-z0-9_-]. Empty: it is not shown (issuers).
	Name string
	// StreamGrace is how long an open stream outlives a lost lease; default 5 s.
	StreamGrace time.Duration
	Logger      *slog.Logger         // nil: discards
	Meter       metric.MeterProvider // nil: none. See metrics.go
}

// Follower follows the log of every shard. It keeps nothing for each revocation that it reads. Safe for concurrent use.
type Follower struct{}

// NewFollower requires Log.
func NewFollower(c FollowerConfig) (*Follower, error) { panic("contract") }

// Run pulls until ctx ends; it returns nil then.
func (f *Follower) Run(ctx context.Context) error { panic("contract") }

// Ready says why some shard has no lease now; nil: all have.
func (f *Follower) Ready() error { panic("contract") }

// KeyRevoked reports whether a signing key has been revoked, as far as the log has been read. Nothing that it signed is
// to be believed, whatever a key set says.
func (f *Follower) KeyRevoked(kid string) bool { panic("contract") }

// Since is the position and incarnation of a shard that this process has read up to; zero when it has read none. An
// issuer asks before it looks at anything that a grant rests on, and puts it into the record.
func (f *Follower) Since(shard int) store.Since { panic("contract") }
