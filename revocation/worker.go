package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// How a worker paces itself.
const (
	lookEvery   = 500 * time.Millisecond // at an open shard; what is revoked wakes it at once
	stepTimeout = 5 * time.Second        // for one question to the store, which has a shorter one of its own
	firstPause  = 50 * time.Millisecond  // after a failure; doubled up to lookEvery, and jittered
	batchLimit  = 200                    // revocations in one question
)

// worker brings the journal into one shard, and opens the shard when it is closed. One goroutine runs it.
type worker struct {
	r     *Revoker
	shard int
	log   *slog.Logger
	wake  chan struct{} // one token: the journal has something new

	// The loop's own.
	self      self
	last      step   // that was taken
	confirmed uint64 // everything in the journal up to here that concerns this shard is in it, and the replicas have it
	brought   uint64 // the same of a closed shard, whatever the replicas have: the journal vouches for it
	done      uint64 // what the shard has said of that: when it says less, it has lost something
	seq       uint64 // where the shard's log stood when it was last heard
	closed    closing
	lowering  lowering
	told      leases
	leased    bool // the shard has had the configured lease

	mu      sync.Mutex         // guards what follows
	waiting map[uint64]awaited // by number: who waits for an entry to be in this shard
	sleep   time.Duration      // what the shard says
	trouble error              // nil: the shard is open, and has this journal
}

// closing is a shard that was found closed.
type closing struct {
	replication string
	since       time.Time
}

func newWorker(r *Revoker, shard int) *worker {
	return &worker{
		r: r, shard: shard, log: r.log.With(slog.Int("shard", shard)), wake: make(chan struct{}, 1),
		self:      self{issuer: r.config.Issuer, issuers: r.config.Issuers, journal: r.author.Journal, sent: r.config.Journal.known},
		confirmed: math.MaxUint64, done: math.MaxUint64,
		waiting: map[uint64]awaited{}, sleep: r.config.Lease,
		trouble: errors.New("has not been looked at yet"),
	}
}

// run looks, takes one step, and looks again, until ctx ends.
func (w *worker) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		pause, err := w.turn(ctx)
		if err != nil {
			w.fails(ctx, err)
			pause = w.retryAfter(failures, err)
			failures++
		} else {
			failures = 0
		}
		rest(ctx, pause)
	}
}

// retryAfter is at once when the shard has just been closed, or has changed under our hands: looking again tells more.
func (w *worker) retryAfter(failures int, err error) time.Duration {
	if failures == 0 && (errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrConflict)) {
		return 0
	}
	pause := min(firstPause<<min(failures, 10), lookEvery)
	return pause/2 + w.r.config.Jitter(pause/2)
}

func rest(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// turn is one look and one step. pause is how long nothing needs to be done.
func (w *worker) turn(ctx context.Context) (pause time.Duration, err error) {
	var s store.Shard
	err = ask(ctx, func(ctx context.Context) (err error) {
		s, err = w.r.config.Shards.Shard(ctx, w.shard, w.self.issuer)
		return err
	})
	if err != nil {
		return 0, err
	}
	w.look(ctx, s)
	step := next(s, w.self)
	if step != work && step == w.last {
		pause = firstPause // it came to nothing: another issuer is at it too
	}
	w.last, w.self.stopped = step, step == stop
	switch step {
	case work:
		return 0, w.work(ctx, s)
	case enrol:
		return pause, w.enrol(ctx, s)
	case replay:
		return pause, w.vote(ctx, s, true)
	case gap:
		return pause, w.vote(ctx, s, false)
	case reopen:
		return pause, w.open(ctx, s)
	case wait:
		return w.wait(ctx, s)
	default:
		return pause, w.foreign(s.Done)
	}
}

// look takes notice of what the shard says of itself.
func (w *worker) look(ctx context.Context, s store.Shard) {
	if s.Journal == w.self.journal && s.Done < w.done {
		w.confirmed, w.brought, w.done = min(w.confirmed, s.Done), s.Done, s.Done
	}
	w.seq = s.At.Seq
	w.r.config.Journal.tell(s.Now)
	w.mu.Lock()
	w.sleep = max(w.told.hear(time.Now(), max(s.Lease, s.Sleep)), w.r.config.Lease)
	w.mu.Unlock()
	if s.Open {
		if w.closed.replication != "" {
			w.log.LogAttrs(ctx, slog.LevelInfo, "shard is open", slog.Int64("closed_ms", time.Since(w.closed.since).Milliseconds()))
		}
		w.closed, w.self.overdue = closing{}, false
		return
	}
	if w.closed.replication != s.Replication {
		w.brought = s.Done
		w.closed = closing{replication: s.Replication, since: time.Now()}
		w.report(errors.New("is closed"))
		w.log.LogAttrs(ctx, w.grave(s), "shard is closed: its node was started, promoted or restored",
			slog.Bool("empty", s.Empty), slog.Bool("enrolled", s.Journal == w.self.journal), slog.Uint64("done", s.Done))
	}
	w.self.overdue = time.Since(w.closed.since) >= w.r.config.Missing
}

// grave is the level of what happens to a closed shard: nobody need look into a store that is used for the first time.
func (w *worker) grave(s store.Shard) slog.Level {
	if s.Empty && w.self.sent == 0 {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// wait leaves a closed shard alone for a while, but for what is new in the journal.
func (w *worker) wait(ctx context.Context, s store.Shard) (pause time.Duration, err error) {
	w.report(fmt.Errorf("is closed: waiting for %s to vote", strings.Join(missing(s, w.self.issuers), ", ")))
	if s.Journal == w.self.journal {
		err = w.bring(ctx, s.Replication)
	}
	return s.Lease / 2, err
}

// foreign is the error of a shard that has entries under this issuer's name that this process did not write.
func (w *worker) foreign(done uint64) error {
	return fmt.Errorf("has revocations under the name %q that this process did not make (up to number %d): two issuers run under "+
		"one name, or the journal is an old copy; give each issuer a name and a journal of its own, or, when the journal was "+
		"brought back from a copy, move it away; then restart this process", w.self.issuer, done)
}

// fails remembers why the shard is not served. Its words are logged once, and told by Ready as long as they hold.
func (w *worker) fails(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if w.report(err) {
		w.log.LogAttrs(ctx, slog.LevelWarn, "shard is not served", slog.Any("error", err))
	}
}

// report sets what Ready says, and tells whether it is new.
func (w *worker) report(trouble error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = trouble != nil && (w.trouble == nil || w.trouble.Error() != trouble.Error())
	w.trouble = trouble
	return news
}

// state is for Ready, Pretend and metrics.
func (w *worker) state() (sleep time.Duration, trouble error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble != nil {
		trouble = fmt.Errorf("shard %d %w", w.shard, w.trouble)
	}
	return w.sleep, trouble
}

// ask asks the store, with a deadline.
func ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return question(ctx)
}
