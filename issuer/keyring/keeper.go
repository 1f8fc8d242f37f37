// Package keyring holds the keys that sign: next (published, signs nothing yet), active, and retired ones (published
// until the last token that they signed has died).
//
// # What it promises
//
//   - A key signs only when every verifier can know it, and leaves the published set only when nothing that it signed
//     is alive (rotation.go). The set holds public members alone (keyset.go).
//   - Any number of issuers share one ring through a store that nobody has to trust: the ring is sealed there, written
//     by compare-and-swap, and an older one, or another one, is refused (agreement.go), after a restart too (file.go).
//   - A ring that cannot be opened is an error, never a new beginning.
//   - A key in wrong hands is out of the ring at once (withdraw.go).
package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/verifier"
)

// Config configures a Keeper. State, Sealing and Life are required.
type Config struct {
	State       StateStore
	Sealing     *sealing.Keys
	File        string        // where this process keeps its own sealed copy of the newest ring; empty: nowhere
	Life        time.Duration // of the longest-lived token that this process signs, whole seconds
	RotateEvery time.Duration // working life of a key; 0: never rotated, else well above publishFor
	Algorithm   string        // of the keys that are generated; empty: ES256
	Signers     SignerSource  // keys that live outside; nil: they are generated, and live in the ring
	Logger      *slog.Logger  // nil: discards
}

// StateStore keeps the sealed ring, with compare-and-swap. It is an interface because keepers and tests bring different
// stores; every method is bounded by ctx and safe for concurrent use.
type StateStore interface {
	// State reads a piece of state; version 0 and no blob when it was never written.
	State(ctx context.Context, name string) (version uint64, blob []byte, err error)
	// SwapState writes version old+1 if the version is still old, else fails and writes nothing. After any error
	// the caller does not know what is there and has to read it again.
	SwapState(ctx context.Context, name string, old uint64, blob []byte) error
}

// How the keeper waits. Every wait is drawn between three and five quarters of what is said here, so that issuers
// started together do not ask together.
const (
	followEvery = 5 * time.Second        // between two looks at the store
	retryAfter  = 100 * time.Millisecond // after the first failure; doubled up to followEvery
	askTimeout  = 3 * time.Second        // for one answer of the store
)

var (
	ErrNoRing      = errors.New("keyring: no key ring yet")
	errNotFollowed = errors.New("keyring: nobody follows the key ring: Run has ended")
)

// Keeper holds the key ring of this process: it loads or creates it, follows it, and rotates it. How several keepers
// on one store agree is in agreement.go.
type Keeper struct {
	state   StateStore
	sealing *sealing.Keys
	plan    plan // without what an operator asks; its list under mu
	source  SignerSource
	logger  *slog.Logger
	file    ringFile
	soon    chan struct{}        // wakes Run; one place
	mu      sync.Mutex           // one look at a time: Run's own, or that of whoever withdraws a key
	kept    atomic.Pointer[kept] // written under mu; swapped whole
	trouble trouble              // of the list of keys that live outside
}

// kept is what the keeper knows; immutable.
type kept struct {
	ring  *Ring     // nil: none yet
	asked time.Time // when the store was asked and confirmed the ring (monotonic)
	err   error     // why the latest look failed; nil when it did not
}

// New makes a keeper that holds nothing until it has looked; it touches no dependency.
func New(c Config) *Keeper {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		state: c.State, sealing: c.Sealing, source: c.Signers, logger: c.Logger,
		plan: plan{life: c.Life, rotateEvery: c.RotateEvery, algorithm: or(c.Algorithm, ES256), outside: c.Signers != nil},
		file: ringFile{c.File, c.Sealing}, soon: make(chan struct{}, 1),
	}
	k.kept.Store(&kept{err: ErrNoRing})
	return k
}

// Current is the ring to mint with, or why there is none. A ring that the store did not confirm for ringLease is
// not used: meanwhile another issuer may have retired its active key.
func (k *Keeper) Current() (*Ring, error) {
	have := k.kept.Load()
	switch {
	case have.ring == nil:
		return nil, have.err
	case time.Since(have.asked) > ringLease && have.err == nil:
		return nil, errNotFollowed
	case time.Since(have.asked) > ringLease:
		return nil, fmt.Errorf("keyring: key ring not confirmed for %v: %w", ringLease, have.err)
	case have.ring.Active().private == nil:
		return nil, k.absent(have.ring)
	}
	return have.ring, nil
}

// absent says what is wrong when the active key lives outside, and not where this process can use it.
func (k *Keeper) absent(r *Ring) error {
	id := r.Active().id
	if k.source == nil {
		return fmt.Errorf("keyring: the active key %s lives outside, and this issuer was told of no such keys: give it the keys that the others have (keys.signing_key_files)", id)
	}
	return fmt.Errorf("keyring: the active key %s is not among the keys that live outside; put it back into the list until the next one has been published for %v, or do not wait: coatcheck token revoke --key %s", id, publishFor, id)
}

// Held is the ring in hand, confirmed or not; nil: none yet. It is for looking things up, never for signing.
func (k *Keeper) Held() *Ring { return k.kept.Load().ring }

// KeySet is the published JWKS; nil while there is no ring. Unlike Current it has no lease: what is published says
// what to trust, and the last good set stays true while the store is away. Shared: not to be changed.
func (k *Keeper) KeySet() []byte {
	if have := k.Held(); have != nil {
		return have.set
	}
	return nil
}

// Key implements verifier.KeySource. It is sure that a key does not exist only while the ring is confirmed.
func (k *Keeper) Key(_ context.Context, id string) (verifier.Key, error) {
	if have := k.kept.Load(); have.ring != nil {
		if found, ok := have.ring.byID(id); ok {
			return verifier.Key{ID: found.id, Algorithm: found.algorithm, Public: found.public}, nil
		}
	}
	if _, err := k.Current(); err != nil {
		return verifier.Key{}, fmt.Errorf("%w: %w", verifier.ErrKeysUnavailable, err)
	}
	return verifier.Key{}, verifier.ErrUnknownKey
}

// LookSoon wakes Run: there may be a ring that this process should not wait for. It does not block, and does nothing
// right after a look: who is woken by every refused deposit asks the store ten times a second at most.
func (k *Keeper) LookSoon() {
	if time.Since(k.kept.Load().asked) < retryAfter {
		return
	}
	select {
	case k.soon <- struct{}{}:
	default: // it is awake already
	}
}

// Run looks again and again until ctx ends. A failure is logged when it begins and when it ends, not in between.
func (k *Keeper) Run(ctx context.Context) error {
	wait := retryAfter
	for {
		before := k.kept.Load().err
		err := k.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			wait = followEvery
			if before != nil {
				k.logRing(ctx, slog.LevelInfo, "key ring ready", k.kept.Load().ring)
			}
		default:
			if before == nil || before.Error() != err.Error() {
				k.logger.LogAttrs(ctx, slog.LevelWarn, "key ring", slog.String("error", err.Error()))
			}
		}
		pause := time.NewTimer(wait*3/4 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		case <-k.soon:
			pause.Stop()
		}
		if err != nil {
			wait = min(2*wait, followEvery)
		} else {
			wait = retryAfter // what the first failure will wait
		}
	}
}

// trouble is what is wrong beside the ring, and does not stop it. It is said when it begins and when it ends.
type trouble struct{ now atomic.Pointer[string] }

func (t *trouble) report(ctx context.Context, logger *slog.Logger, err error) {
	before := t.now.Load()
	switch {
	case err == nil && before != nil:
		logger.LogAttrs(ctx, slog.LevelInfo, "keys that live outside can be read again")
		t.now.Store(nil)
	case err != nil && (before == nil || *before != err.Error()):
		text := err.Error()
		logger.LogAttrs(ctx, slog.LevelWarn, "keys that live outside: the list of before stays in use", slog.String("error", text))
		t.now.Store(&text)
	}
}

// Trouble is what is wrong with the list of keys that live outside while the one of before is in use; empty: nothing.
func (k *Keeper) Trouble() string {
	if t := k.trouble.now.Load(); t != nil {
		return *t
	}
	return ""
}
