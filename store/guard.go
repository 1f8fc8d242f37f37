package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How often a store is asked whether it can be trusted, and how long one question may take.
const (
	checkEvery  = 2 * time.Second        // while all is well
	checkSoon   = 250 * time.Millisecond // while it is not, so that readiness returns quickly
	checkWithin = 2 * time.Second
)

// Backend is either store of this package.
type Backend interface {
	// All are those of Redis and Memory; so are their errors.
	Put(ctx context.Context, r Record, q Quota) error
	Take(ctx context.Context, jti string) (Taken, error)
	Turn(ctx context.Context, t Turn, r Record, q Quota) (again []byte, err error)
	State(ctx context.Context, name string) (version uint64, blob []byte, err error)
	SwapState(ctx context.Context, name string, old uint64, blob []byte) error
	Register(ctx context.Context, name string, after uint64) (Register, error)
	SwapRegister(ctx context.Context, name string, old uint64, w RegisterWrite) error

	Shards() int
	ShardOf(jti string) int
	Pull(ctx context.Context, after []Position, seen string) []Pulled
	Revoke(ctx context.Context, shard int, by Author, fence string, batch []Numbered, replicas int) (Revoked, error)
	Shard(ctx context.Context, shard int, issuer string) (Shard, error)
	Enrol(ctx context.Context, shard int, by Author, insteadOf string) error
	Vote(ctx context.Context, shard int, by Author, replication string, whole bool) error
	Open(ctx context.Context, shard int, o Opening) (ended bool, err error)
	SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error
	List(ctx context.Context, shard int, cursor uint64, limit int) (found []Listed, next uint64, err error)
	Inspect(ctx context.Context, jti string) (Listed, error)
	Seen(ctx context.Context) ([]Seen, error)
	Once(ctx context.Context, name string, from, until time.Time) (free bool, err error)

	// Check asks whether the store can be trusted with grants. It may block until ctx ends.
	Check(ctx context.Context) error
	Close() error
}

var (
	_ Backend = (*Redis)(nil)
	_ Backend = (*Memory)(nil)
)

// Guard is a store that is out of reach until its policy has been checked once, and again whenever a check finds that
// it cannot be trusted (one that may evict would forget a revocation, or the key ring). A store that is merely away
// does not close the guard: its own errors say so better, and it is usable the moment it is back.
//
// What puts nothing in and lets nobody in is never barred: what ends a grant must work longest, and an operator must see.
//
// Rooms see a closed guard as ErrUnavailable, so that the edge answers 503 with Retry-After by itself.
type Guard struct {
	Backend
	checked chan struct{} // closed after the first check
	once    sync.Once     // closes it

	why  atomic.Pointer[error] // of the last check; nil: it found nothing wrong
	bar  atomic.Pointer[error] // why the guard is closed; nil: open
	full atomic.Pointer[error] // why nothing is put, when all else goes on
}

// NewGuard returns a guard that is closed until Run has checked b once.
func NewGuard(b Backend) *Guard {
	g := &Guard{Backend: b, checked: make(chan struct{})}
	g.settle(errors.New("the store has not been checked yet"))
	return g
}

// Ready says what the last check found wrong.
func (g *Guard) Ready() error { return reason(&g.why) }

// Take reads a record through the guard.
func (g *Guard) Take(ctx context.Context, jti string) (Taken, error) {
	if err := reason(&g.bar); err != nil {
		return Taken{}, err
	}
	return g.Backend.Take(ctx, jti)
}

// Pull reads the log through the guard: an edge has no lease from a store that may have forgotten a revocation.
func (g *Guard) Pull(ctx context.Context, after []Position, seen string) []Pulled {
	err := reason(&g.bar)
	if err == nil {
		return g.Backend.Pull(ctx, after, seen)
	}
	pulled := make([]Pulled, g.Shards())
	for i := range pulled {
		pulled[i].Err = err
	}
	return pulled
}

// Open opens a shard through the guard.
func (g *Guard) Open(ctx context.Context, shard int, o Opening) (ended bool, err error) {
	if err := reason(&g.bar); err != nil {
		return false, err
	}
	return g.Backend.Open(ctx, shard, o)
}

// Put writes a record through the guard, unless there is little memory left: that is for what ends grants.
func (g *Guard) Put(ctx context.Context, r Record, q Quota) error {
	if err := cmp.Or(reason(&g.bar), reason(&g.full)); err != nil {
		return err
	}
	return g.Backend.Put(ctx, r, q)
}

// Once takes a name through the guard, also when there is little memory left: who is let in by it may want to revoke.
func (g *Guard) Once(ctx context.Context, name string, from, until time.Time) (free bool, err error) {
	if err := reason(&g.bar); err != nil {
		return false, err
	}
	return g.Backend.Once(ctx, name, from, until)
}

// Turn writes through the guard like Put.
func (g *Guard) Turn(ctx context.Context, t Turn, r Record, q Quota) (again []byte, err error) {
	if err := cmp.Or(reason(&g.bar), reason(&g.full)); err != nil {
		return nil, err
	}
	return g.Backend.Turn(ctx, t, r, q)
}

// State reads sealed state through the guard. It waits for the first check, within ctx: whoever starts together with the
// store would fail once else.
func (g *Guard) State(ctx context.Context, name string) (version uint64, blob []byte, err error) {
	select {
	case <-g.checked:
	case <-ctx.Done():
	}
	if err := reason(&g.bar); err != nil {
		return 0, nil, err
	}
	return g.Backend.State(ctx, name)
}

// SwapState writes sealed state through the guard.
func (g *Guard) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	if err := reason(&g.bar); err != nil {
		return err
	}
	return g.Backend.SwapState(ctx, name, old, blob)
}

// Register reads a register through the guard. It waits for no check: it is asked again soon.
func (g *Guard) Register(ctx context.Context, name string, after uint64) (Register, error) {
	if err := reason(&g.bar); err != nil {
		return Register{}, err
	}
	return g.Backend.Register(ctx, name, after)
}

// SwapRegister writes a register through the guard.
func (g *Guard) SwapRegister(ctx context.Context, name string, old uint64, w RegisterWrite) error {
	if err := reason(&g.bar); err != nil {
		return err
	}
	return g.Backend.SwapRegister(ctx, name, old, w)
}

// Run checks the store until ctx ends, and logs each change.
func (g *Guard) Run(ctx context.Context, log *slog.Logger) {
	before := g.Ready()
	for ctx.Err() == nil {
		after := g.check(ctx)
		if changed(before, after) && ctx.Err() == nil {
			tell(ctx, log, after)
		}
		before = after
		wait := checkEvery
		if after != nil && !errors.Is(after, errCrowded) {
			wait = checkSoon
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (g *Guard) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	err := g.Check(ctx)
	var policy *PolicyError
	switch {
	case err == nil, errors.Is(err, errCrowded):
		g.why.Store(nil)
		g.bar.Store(nil)
		g.crowd(err)
	case errors.As(err, &policy):
		g.settle(err)
	default:
		g.why.Store(&err)
	}
	g.once.Do(func() { close(g.checked) })
	return err
}

// crowd refuses what would be put.
func (g *Guard) crowd(err error) {
	if err == nil {
		g.full.Store(nil)
		return
	}
	refused := fmt.Errorf("put: %w: %w", ErrUnavailable, err)
	g.full.Store(&refused)
}

// settle closes the guard.
func (g *Guard) settle(err error) {
	g.why.Store(&err)
	closed := fmt.Errorf("%w: %w", ErrUnavailable, err)
	g.bar.Store(&closed)
}

func reason(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

func changed(a, b error) bool {
	if a == nil || b == nil {
		return (a == nil) != (b == nil)
	}
	return a.Error() != b.Error()
}

func tell(ctx context.Context, log *slog.Logger, err error) {
	if err == nil {
		log.LogAttrs(ctx, slog.LevelInfo, "store is ready")
		return
	}
	if errors.Is(err, errCrowded) {
		log.LogAttrs(ctx, slog.LevelWarn, "store takes no new grants", slog.String("reason", err.Error()))
		return
	}
	log.LogAttrs(ctx, slog.LevelWarn, "store is not ready", slog.String("reason", err.Error()))
}
