package revocation

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
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
	Logger      *slog.Logger         // nil: discards
	Meter       metric.MeterProvider // nil: none. See metrics.go
}

// Follower follows the log of every shard. It keeps nothing for each revocation that it reads. Safe for concurrent use.
type Follower struct {
	log    Log
	name   string
	grace  time.Duration
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

// followed is what a Follower knows of one shard.
type followed struct {
	number int
	seed   maphash.Seed // of the names of this shard's grants

	// Read by every request, written when a pull is applied: in this order, see Holds. applied and gaps begin at 1.
	gaps    atomic.Uint64 // how often anything may have been named: flushes, and all that was issued before a time
	applied atomic.Uint64 // how often an answer has named something
	lease   atomic.Pointer[lease]

	lost bool // there was no lease when this was last reported; Run's own

	_ [64]byte // what misses write is on another cache line than what hits read

	mu          sync.Mutex // guards the rest, and that nothing is applied meanwhile
	at          store.Position
	incarnation string
	trouble     error // why the last pull gave no lease; nil: it gave one
	lag         int   // entries that the last answer brought
	watches     map[*Watch]struct{}
	doubtful    map[*Watch]struct{} // those of watches of whose grants nobody knows whether they live
}

var errUnheard = errors.New("the log has not been read yet")

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
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Follower{
		log: c.Log, name: c.Name, grace: c.StreamGrace, logger: c.Logger,
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

func newFollowed(number int) *followed {
	s := &followed{
		number:   number,
		seed:     maphash.MakeSeed(),
		trouble:  errUnheard,
		watches:  make(map[*Watch]struct{}),
		doubtful: make(map[*Watch]struct{}),
	}
	s.gaps.Store(1)
	s.applied.Store(1)
	s.lease.Store(&lease{})
	return s
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

func (s *followed) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		return errLate
	}
	return s.trouble
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
