package issuer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// keeper holds the key ring of this process: it loads or creates it, follows it, and rotates it. Several keepers on
// one store agree by compare-and-swap: who loses reads again.
type keeper struct {
	state       StateStore
	sealing     *SealingKeys
	life        time.Duration // of the longest-lived tokens that this issuer mints
	rotateEvery time.Duration
	logger      *slog.Logger
	kept        atomic.Pointer[kept] // written by run only; swapped whole
}

// kept is what the keeper knows; immutable.
type kept struct {
	ring  *ring             // nil: none yet
	sum   [sha256.Size]byte // of the sealed ring as the store holds it
	asked time.Time         // when the store was asked and confirmed the ring (monotonic)
	err   error             // why the latest look failed; nil when it did not
}

func newKeeper(c Config, life time.Duration) *keeper {
	k := &keeper{state: c.State, sealing: c.Sealing, life: life, rotateEvery: c.RotateEvery, logger: c.Logger}
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
				k.logger.LogAttrs(ctx, slog.LevelInfo, "key ring ready",
					slog.Uint64("version", k.kept.Load().ring.version), slog.String("key_id", k.kept.Load().ring.in(active).id))
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
		}
		if err != nil {
			wait = min(2*wait, followEvery)
		} else {
			wait = retryAfter // what the first failure will wait
		}
	}
}

// look reads the ring, turns it if it is time, and keeps the outcome. It returns what went wrong.
func (k *keeper) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	have := k.kept.Load()
	asked := time.Now()
	r, sum, err := k.read(ctx, have)
	if err == nil {
		r, sum, err = k.turn(ctx, r, sum)
	}
	if err != nil {
		k.kept.Store(&kept{ring: have.ring, sum: have.sum, asked: have.asked, err: err})
		return err
	}
	k.kept.Store(&kept{ring: r, sum: sum, asked: asked})
	return nil
}

// read is the ring as the store holds it; nil when it was never written. What the store says is believed only as
// far as it can be checked: nothing that does not open under our keys, nothing older than what this process has
// seen, not two rings under one version, and no disappearance.
func (k *keeper) read(ctx context.Context, have *kept) (*ring, [sha256.Size]byte, error) {
	var none [sha256.Size]byte
	version, blob, err := k.state.State(ctx, ringName)
	if err != nil {
		return nil, none, fmt.Errorf("issuer: read key ring: %w", err)
	}
	sum := sha256.Sum256(blob)
	switch {
	case have.ring == nil && version == 0:
		return nil, none, nil
	case have.ring != nil && version < have.ring.version:
		return nil, none, fmt.Errorf("issuer: the store holds key ring version %d, but version %d was there before: "+
			"an old one was put back or the store has lost it; bring back the newer one", version, have.ring.version)
	case have.ring != nil && version == have.ring.version && sum != have.sum:
		return nil, none, fmt.Errorf("issuer: the store holds another key ring version %d than before: it was tampered with", version)
	case have.ring != nil && version == have.ring.version:
		return have.ring, sum, nil
	}
	r, err := openRing(k.sealing, version, blob)
	if err != nil {
		return nil, none, fmt.Errorf("issuer: open key ring version %d: %w", version, err)
	}
	return r, sum, nil
}

// turn writes the ring that should follow now, if there is one. Losing the race against another issuer is an error
// like any other: the next look reads what that one wrote.
func (k *keeper) turn(ctx context.Context, r *ring, sum [sha256.Size]byte) (*ring, [sha256.Size]byte, error) {
	var follows *ring
	if r == nil {
		follows = newRing(time.Now(), k.life)
	} else if turned, changed := r.turned(time.Now(), k.life, k.rotateEvery); changed {
		follows = turned
	} else {
		return r, sum, nil
	}
	blob, err := follows.seal(k.sealing)
	if err != nil {
		return nil, sum, err
	}
	if err := k.state.SwapState(ctx, ringName, follows.version-1, blob); err != nil {
		return nil, sum, fmt.Errorf("issuer: write key ring version %d: %w", follows.version, err)
	}
	k.logger.LogAttrs(ctx, slog.LevelInfo, "key ring turned", slog.Uint64("version", follows.version),
		slog.String("key_id", follows.in(active).id), slog.Int("keys", len(follows.keys)))
	return follows, sha256.Sum256(blob), nil
}
