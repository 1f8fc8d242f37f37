package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"go.opentelemetry.io/otel/metric"
)

// Log is what a Follower needs of the store. It is an interface because tests delay, lose and cut its answers.
type Log interface {
	// Shards is how many there are; fixed.
	Shards() int
	// Pull reads every shard's log after a position; see store.Redis.Pull. It blocks for a bounded time and ends early
	// with ctx.
	Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled
	// Take reads one record; it is asked whether the grants of open streams still live, after a gap in the log. It
	// blocks for a bounded time, ends early with ctx, and is safe for concurrent use. store.ErrNotFound means that the
	// record is gone; any other error says nothing.
	Take(ctx context.Context, jti string) (store.Taken, error)
}

// FollowerConfig configures a Follower. Only Log is required.
type FollowerConfig struct {
	Log Log
	// Name shows this edge's positions to operators; of [A-Za-z0-9_-]. Empty: it is not shown (issuers).
	Name string
	// StreamGrace is how long an open stream outlives a lost lease; default 5 s.
	StreamGrace time.Duration
	// Jitter is a random part of d, so that edges do not all pull at once; nil: math/rand. A simulation gives its own.
	Jitter func(d time.Duration) time.Duration
	Logger *slog.Logger         // nil: discards
	Meter  metric.MeterProvider // nil: none. coatcheck_lease_age_seconds and others, see followMeters
}

// Follower follows the log of every shard. It keeps nothing for each revocation that it reads. Safe for concurrent use.
type Follower struct {
	log    Log
	name   string
	grace  time.Duration
	jitter func(time.Duration) time.Duration
	logger *slog.Logger
	meters followMeters

	origin time.Time                 // of every moment's mono
	wall   func(now time.Time) int64 // the wall clock's Unix nanoseconds; tests suspend the machine
	tally  tally                     // of all shards; they hash under different seeds, so they seldom share a place
	shards []*followed               // by number
	keys   sync.Map                  // revoked key id → nothing. It only grows: a key that was revoked once stays so
	asking atomic.Bool               // a round of confirm is under way
	rounds sync.WaitGroup            // of confirm; Run waits for them
}

// NewFollower requires Log.
func NewFollower(c FollowerConfig) (*Follower, error) {
	if c.Log == nil {
		return nil, errors.New("revocation: FollowerConfig.Log is required")
	}
	if c.StreamGrace < 0 {
		return nil, errors.New("revocation: FollowerConfig.StreamGrace cannot be negative")
	}
	if c.StreamGrace == 0 {
		c.StreamGrace = 5 * time.Second
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Follower{
		log: c.Log, name: c.Name, grace: c.StreamGrace, jitter: c.Jitter, logger: c.Logger,
		origin: time.Now(), wall: time.Time.UnixNano,
	}
	for i := range c.Log.Shards() {
		f.shards = append(f.shards, newFollowed(i))
	}
	var err error
	if f.meters, err = newFollowMeters(c.Meter, f); err != nil {
		return nil, err
	}
	return f, nil
}

// moment reads both clocks off now.
func (f *Follower) moment(now time.Time) moment { return moment{now.Sub(f.origin), f.wall(now)} }

// Ready says why some shard has no lease now; nil: all have.
func (f *Follower) Ready() error {
	var why []error
	for i, s := range f.shards {
		if left := f.Left(i, time.Now()); left <= 0 {
			why = append(why, fmt.Errorf("revocation: shard %d has no lease: %w", i, s.reason()))
		}
	}
	return errors.Join(why...)
}

// KeyRevoked reports whether a signing key has been revoked, as far as the log has been read. Nothing that it signed is
// to be believed, whatever a key set says.
func (f *Follower) KeyRevoked(kid string) bool {
	_, revoked := f.keys.Load(kid)
	return revoked
}

// Since is the position and incarnation of a shard that this process has read up to; zero when it has read none. An
// issuer asks before it looks at anything that a grant rests on, and puts it into the record.
func (f *Follower) Since(shard int) store.Since {
	s := f.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Since{Seq: s.at.Seq, Incarnation: s.incarnation}
}
