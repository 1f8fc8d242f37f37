package clients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
)

// Lease is how long a client that was added is let in after the store has confirmed the register, counted from when it was
// asked. Nothing is lost by it: an issuer that does not reach the store cannot deposit a grant either. What is gained is
// that a change is in force everywhere after that time, whoever could not be told.
const Lease = 2 * time.Second

const (
	lookEvery  = 500 * time.Millisecond
	askWithin  = time.Second // one round trip
	lookWithin = time.Minute // all of them: the first look reads the whole register
)

// Store keeps the sealed register. Both stores of package store are one. It is an interface because an issuer reaches it
// through a guard; every method is bounded by ctx and safe for concurrent use.
type Store interface {
	// Register reads the head, and the entries after a version, a page of them; version 0 when it was never written.
	Register(ctx context.Context, name string, after uint64) (store.Register, error)
	// SwapRegister writes if the head has still the old version, else fails with store.ErrConflict and writes nothing.
	// After any other error the caller does not know what is there.
	SwapRegister(ctx context.Context, name string, old uint64, w store.RegisterWrite) error
}

// Config is what clients that come and go at run time need.
type Config struct {
	Store   Store         // required
	Sealing *sealing.Keys // required; the first seals, all open
	File    string        // where this issuer keeps how far it has followed them, a file of its own; empty: nowhere
	Logger  *slog.Logger  // nil: discards
}

// added are the clients that were added at run time, as far as this issuer knows. How issuers agree on them is in
// agreement.go.
type added struct {
	store          Store
	sealing        *sealing.Keys
	file           memory
	rules          Rules
	fixed          map[string]*Known // of the file: they win
	longest        time.Duration     // of lives in the file
	longestRefresh time.Duration
	logger         *slog.Logger
	mu             sync.Mutex           // one look or change at a time
	kept           atomic.Pointer[kept] // written under mu; swapped whole
}

// kept is what is known; immutable.
type kept struct {
	roll  *roll
	asked time.Time // when the store was asked and confirmed it (monotonic)
	err   error     // why the latest look failed; nil when it did not
}

var errNotYet = errors.New("clients: the register of clients has not been read yet")

// Configure lets clients be added at run time. It is called before Run and before anybody looks one up.
func (r *Register) Configure(c Config) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r.added = &added{
		store: c.Store, sealing: c.Sealing, file: memory{c.File, c.Sealing}, rules: r.rules, fixed: r.file, longest: r.Longest(), longestRefresh: r.LongestRefresh(), logger: c.Logger,
	}
	r.added.kept.Store(&kept{roll: &roll{entries: map[string]*entry{}}, err: errNotYet})
}

func (a *added) lookup(id string) *Known {
	have := a.kept.Load()
	if e := have.roll.entries[id]; e != nil && time.Since(have.asked) <= Lease {
		return e.known
	}
	return nil
}

// sure says why this issuer may not know everybody.
func (a *added) sure() error {
	have := a.kept.Load()
	switch {
	case time.Since(have.asked) <= Lease:
		return nil
	case have.err != nil:
		return have.err
	}
	return fmt.Errorf("clients: the register of clients was not confirmed for %v: nobody follows it", Lease)
}

// Refresh asks the store at once; what Run does twice a second.
func (r *Register) Refresh(ctx context.Context) error { return r.added.look(ctx) }

// run looks again and again until ctx ends. A failure is logged when it begins and when it ends, not in between.
func (a *added) run(ctx context.Context) {
	beat := time.NewTicker(lookEvery)
	defer beat.Stop()
	for {
		before := a.kept.Load().err
		err := a.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && before != nil:
			have := a.kept.Load().roll
			a.logger.LogAttrs(ctx, slog.LevelInfo, "clients ready", slog.Uint64("version", have.version), slog.Int("entries", len(have.entries)))
		case err != nil && (before == nil || before.Error() != err.Error()):
			a.logger.LogAttrs(ctx, slog.LevelWarn, "clients", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

// look asks the store, does what follows, and keeps the outcome.
func (a *added) look(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lookLocked(ctx)
}

func (a *added) lookLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	have := a.kept.Load()
	asked := time.Now()
	next, err := a.agree(ctx, have.roll)
	if err == nil && next != have.roll {
		err = a.file.save(next)
	}
	if err != nil {
		a.kept.Store(&kept{roll: have.roll, asked: have.asked, err: err})
		return err
	}
	a.warn(ctx, have.roll, next)
	a.kept.Store(&kept{roll: next, asked: asked})
	return nil
}

// ask is one round trip.
func (a *added) ask(ctx context.Context, after uint64) (store.Register, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, err := a.store.Register(ctx, registerName, after)
	if err != nil {
		return store.Register{}, fmt.Errorf("clients: read register: %w", err)
	}
	return answer, nil
}

// warn tells of clients that are new here and are not let in although they are enabled.
func (a *added) warn(ctx context.Context, have, next *roll) {
	if have == next {
		return
	}
	for id, e := range next.entries {
		if have.entries[id] == e || e.doc.State != Enabled {
			continue
		}
		switch {
		case a.fixed[id] != nil:
			a.logger.LogAttrs(ctx, slog.LevelWarn, "client of the configuration file stands in for one that was added at run time: delete that one, or rename this one",
				slog.String("client", id))
		case e.why != nil:
			a.logger.LogAttrs(ctx, slog.LevelWarn, "client that was added at run time does not fit the configuration, and is not let in",
				slog.String("client", id), slog.String("error", e.why.Error()))
		}
	}
}
