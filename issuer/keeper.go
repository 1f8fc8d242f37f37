package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// How the keeper waits. Every wait is drawn between three and five quarters of what is said here, so that issuers
// started together do not ask together.
const (
	followEvery = 5 * time.Second        // between two looks at the store
	retryAfter  = 100 * time.Millisecond // after the first failure; doubled up to followEvery
	askTimeout  = 3 * time.Second        // for one look, with what is written after it
)

var (
	errNoRing      = errors.New("issuer: no key ring yet")
	errNotFollowed = errors.New("issuer: nobody follows the key ring: Run has ended")
)

// keeper holds the key ring of this process: it loads or creates it, follows it, and rotates it. How several keepers
// on one store agree is in agreement.go.
type keeper struct {
	state       StateStore
	sealing     *SealingKeys
	life        time.Duration // of the longest-lived tokens that this issuer mints
	rotateEvery time.Duration
	logger      *slog.Logger
	file        ringFile
	soon        chan struct{}        // wakes run; one place
	mu          sync.Mutex           // one look at a time: run's own, or that of whoever withdraws a key
	kept        atomic.Pointer[kept] // written under mu; swapped whole
}

// kept is what the keeper knows; immutable.
type kept struct {
	ring  *ring     // nil: none yet
	asked time.Time // when the store was asked and confirmed the ring (monotonic)
	err   error     // why the latest look failed; nil when it did not
}

func newKeeper(c Config, life time.Duration) *keeper {
	k := &keeper{
		state: c.State, sealing: c.Sealing, life: life, rotateEvery: c.RotateEvery, logger: c.Logger,
		file: ringFile{c.RingFile, c.Sealing}, soon: make(chan struct{}, 1),
	}
	k.kept.Store(&kept{err: errNoRing})
	return k
}

// signing is the ring to mint with, or why there is none. A ring that the store did not confirm for ringLease is
// not used: meanwhile another issuer may have retired its active key.
func (k *keeper) signing() (*ring, error) {
	have := k.kept.Load()
	switch {
	case have.ring == nil:
		return nil, have.err
	case time.Since(have.asked) > ringLease && have.err == nil:
		return nil, errNotFollowed
	case time.Since(have.asked) > ringLease:
		return nil, fmt.Errorf("issuer: key ring not confirmed for %v: %w", ringLease, have.err)
	}
	return have.ring, nil
}

// jwks is the published key set; nil while there is no ring. Unlike signing it has no lease: what is published says
// what to trust, and the last good set stays true while the store is away.
func (k *keeper) jwks() *document {
	if have := k.kept.Load(); have.ring != nil {
		return have.ring.set
	}
	return nil
}

// Key implements verifier.KeySource. It is sure that a key does not exist only while the ring is confirmed.
func (k *keeper) Key(_ context.Context, id string) (verifier.Key, error) {
	if have := k.kept.Load(); have.ring != nil {
		if found, ok := have.ring.byID(id); ok {
			return verifier.Key{ID: found.id, Algorithm: algorithm, Public: found.public()}, nil
		}
	}
	if _, err := k.signing(); err != nil {
		return verifier.Key{}, fmt.Errorf("%w: %w", verifier.ErrKeysUnavailable, err)
	}
	return verifier.Key{}, verifier.ErrUnknownKey
}

// lookSoon wakes run: there may be a ring that this process should not wait for. It does not block, and does nothing
// right after a look: who is woken by every refused deposit asks the store ten times a second at most.
func (k *keeper) lookSoon() {
	if time.Since(k.kept.Load().asked) < retryAfter {
		return
	}
	select {
	case k.soon <- struct{}{}:
	default: // it is awake already
	}
}

// run looks again and again until ctx ends. A failure is logged when it begins and when it ends, not in between.
func (k *keeper) run(ctx context.Context) error {
	wait := retryAfter
	for {
		before := k.kept.Load().err
		err := k.look(ctx)
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
