package revocation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"go.opentelemetry.io/otel/metric"
)

// ErrNotDurable says that the revocation is not in force yet: whoever asked must assume that the tokens work, and ask
// again. It is in the journal and will be made, unless ErrJournal comes with it. RFC 7009 §2.2.1: 503.
var ErrNotDurable = errors.New("revocation: not in force yet")

// Shards is what a Revoker needs of the store; each method is that of store.Redis.
type Shards interface {
	Shards() int
	ShardOf(jti string) int
	Shard(ctx context.Context, shard int, issuer string) (store.Shard, error)
	Revoke(ctx context.Context, shard int, by store.Author, fence string, batch []store.Numbered, replicas int) (store.Revoked, error)
	Enrol(ctx context.Context, shard int, by store.Author, insteadOf string) error
	Vote(ctx context.Context, shard int, by store.Author, replication string, whole bool) error
	Open(ctx context.Context, shard int, o store.Opening) (ended bool, err error)
	SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error
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
	// Life is how long a token lives at most, whatever the configuration was when it was made; default, and least, a day.
	// For so long an issuer that was taken off the list is missed by a shard that is opened again.
	Life time.Duration
	// Jitter is a random part of d, so that issuers do not all ask again at once; nil: math/rand. A simulation gives its own.
	Jitter func(d time.Duration) time.Duration
	Logger *slog.Logger         // nil: discards
	Meter  metric.MeterProvider // nil: none
}

// Receipt says what a revocation did. It has been in force on every edge from the moment that it was returned.
type Receipt struct {
	Number uint64   // of the last entry in this issuer's journal
	Found  int      // records that were there and are named by their jti
	Seq    []uint64 // by shard: where the log stands; 0 for a shard that was not concerned
}

// Revoker is an issuer's half. Run keeps every shard open and brings the journal into it; Revoke waits for that.
// It is safe for concurrent use.
type Revoker struct {
	config  RevokerConfig
	author  store.Author
	log     *slog.Logger
	meters  revokeMeters
	workers []*worker // one for each shard
	callers atomic.Int64
}

// What bounds a call.
const (
	patience   = 2 * time.Second       // until all is in every shard that it concerns
	evenOut    = 50 * time.Millisecond // that the store and the journal may take without anybody noticing how long it was
	maxCallers = 10_000                // that wait at one time; more are refused
)

// NewRevoker checks its configuration; it touches nothing.
func NewRevoker(c RevokerConfig) (*Revoker, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	r := &Revoker{config: c, author: store.Author{Issuer: c.Issuer, Journal: c.Journal.ID()}, log: c.Logger}
	for shard := range c.Shards.Shards() {
		r.workers = append(r.workers, newWorker(r, shard))
	}
	var err error
	if r.meters, err = newRevokeMeters(c.Meter, c.Journal); err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	return r, nil
}

// complete checks, and sets defaults.
func (c *RevokerConfig) complete() error {
	if c.Shards == nil || c.Journal == nil {
		return errors.New("a revoker needs Shards and a Journal")
	}
	for _, name := range c.Issuers {
		if !isName(name) {
			return fmt.Errorf("issuer %q: a name is 1 to %d characters of [A-Za-z0-9_-]", name, store.MaxHandle)
		}
	}
	if !slices.Contains(c.Issuers, c.Issuer) {
		return fmt.Errorf("issuer %q is not in the list of all issuers (%s)", c.Issuer, strings.Join(c.Issuers, ", "))
	}
	c.Lease = cmp.Or(c.Lease, 500*time.Millisecond).Truncate(time.Millisecond)
	c.Missing = cmp.Or(c.Missing, 30*time.Second)
	c.Life = max(c.Life, 24*time.Hour)
	if c.Lease < time.Millisecond || c.Lease > longestLease {
		return fmt.Errorf("lease of %v is not between 1ms and %v", c.Lease, longestLease)
	}
	if c.Missing < 0 || c.Replicas < 0 {
		return errors.New("a time for the missing, and a number of replicas, are not negative")
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Run works until ctx ends; it returns nil then.
func (r *Revoker) Run(ctx context.Context) error {
	if r.config.Journal.cut > 0 {
		r.log.LogAttrs(ctx, slog.LevelWarn, "journal: the last write was cut off by a crash and is dropped; nobody was told that it counts",
			slog.Int("bytes", r.config.Journal.cut))
	}
	var all sync.WaitGroup
	for _, w := range r.workers {
		all.Go(func() { w.run(ctx) })
	}
	all.Wait()
	return nil
}

// Ready says which shard is closed, and why; nil: all are open and have this journal.
func (r *Revoker) Ready() error {
	_, _, failed := r.config.Journal.state()
	errs := []error{failed}
	for _, w := range r.workers {
		_, trouble := w.state()
		errs = append(errs, trouble)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	return nil
}

// Revoke ends what rs name, all or ErrNotDurable. It returns after the leases of all edges have run out, and always after
// the same time when nothing is wrong, so that nobody learns from it whether a token was alive. With ErrNotDurable the
// receipt says what is known.
func (r *Revoker) Revoke(ctx context.Context, rs ...Revocation) (Receipt, error) {
	start := time.Now()
	receipt, err := r.revoke(ctx, start, rs)
	r.meters.record(ctx, rs, time.Since(start), err)
	return receipt, err
}

func (r *Revoker) revoke(ctx context.Context, start time.Time, rs []Revocation) (Receipt, error) {
	t := newTicket(len(r.workers))
	appended, err := r.append(t, rs)
	if err != nil {
		return Receipt{}, err
	}
	defer r.leave(t)
	soon, cancel := context.WithDeadline(ctx, start.Add(patience))
	defer cancel()
	select {
	case err := <-appended:
		if err != nil {
			return Receipt{}, err
		}
	case <-soon.Done():
		return Receipt{}, fmt.Errorf("%w: the journal has not been written yet: %w", ErrNotDurable, soon.Err())
	}
	select {
	case <-t.in:
	case <-soon.Done():
		known, _, _ := t.known()
		err := fmt.Errorf("%w: number %d is in the journal: %w", ErrNotDurable, known.Number, soon.Err())
		if trouble := r.Ready(); trouble != nil {
			err = fmt.Errorf("%w; %w", err, trouble)
		}
		return known, err
	}
	known, until, sleep := t.known()
	return known, r.sleep(ctx, start, until, sleep)
}

// append writes to the journal aside: a disk that hangs must not hold the caller longer than he waits.
func (r *Revoker) append(t *ticket, rs []Revocation) (<-chan error, error) {
	if err := check(rs); err != nil {
		return nil, err
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	appended := make(chan error, 1)
	go func() {
		defer r.exit(t)
		_, err := r.config.Journal.append(rs, func(first uint64) { t.expect(first, rs, r.workers) })
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNotDurable, err)
		}
		appended <- err
		r.wake()
	}()
	return appended, nil
}

// sleep sleeps until no edge uses what it knew before, and always until the same time after start.
func (r *Revoker) sleep(ctx context.Context, start, until time.Time, lease time.Duration) error {
	for _, w := range r.workers {
		told, _ := w.state()
		lease = max(lease, told)
	}
	if even := start.Add(over(lease) + evenOut); even.After(until) {
		until = even
	}
	wake := time.NewTimer(time.Until(until))
	defer wake.Stop()
	select {
	case <-wake.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotDurable, ctx.Err())
	}
}

// Pretend takes as long as a Revoke that names nothing alive, and does nothing.
func (r *Revoker) Pretend(ctx context.Context) error {
	start := time.Now()
	if err := r.enter(); err != nil {
		return err
	}
	defer r.callers.Add(-1)
	if err := r.Ready(); err != nil {
		soon, cancel := context.WithDeadline(ctx, start.Add(patience))
		defer cancel()
		<-soon.Done()
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	return r.sleep(ctx, start, start, 0)
}

// enter takes a place among those who wait.
func (r *Revoker) enter() error {
	if r.callers.Add(1) > maxCallers {
		r.callers.Add(-1)
		return fmt.Errorf("%w: %d others wait", ErrNotDurable, maxCallers)
	}
	return nil
}

// leave is the caller's end of a ticket, exit the journal's; the place is free after both.
func (r *Revoker) leave(t *ticket) {
	t.leave(r.workers)
	r.exit(t)
}

func (r *Revoker) exit(t *ticket) {
	if t.ends.Add(1) == 2 {
		r.callers.Add(-1)
	}
}

// wake tells the workers that the journal has something new.
func (r *Revoker) wake() {
	for _, w := range r.workers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
