package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// withdrawTries is how often a withdrawal asks again when another issuer has changed the ring at the same moment.
const withdrawTries = 3

// Withdraw takes a key out of the ring: when it returns nil, this process neither signs with the key nor publishes it,
// and a ring without it is in the store and in this issuer's ring file. A key that is in no ring is withdrawn already.
//
// Other issuers read that ring within followEvery, and meanwhile the revocation log has to refuse what they sign:
// whoever withdraws a key revokes it as well.
func (k *Keeper) Withdraw(ctx context.Context, id string) error {
	without := change{func(r *Ring, p plan) (*Ring, bool) { return r.without(id, time.Now(), p) }, slog.LevelWarn, "signing key withdrawn"}
	var err error
	for range withdrawTries {
		if err = k.lookAnd(ctx, without); err != nil {
			continue
		}
		r := k.kept.Load().ring
		if _, there := r.byID(id); !there {
			return nil
		}
		if wait := time.Until(r.quiet); wait > 0 {
			return &QuietError{wait}
		}
		err = errors.New("the ring still has it: it is the only key that lives outside; put another one into the list first")
	}
	return fmt.Errorf("keyring: withdraw signing key %s: %w", id, err)
}

// QuietError says that the ring was written back after the store had lost it, and must not change before others had the time to
// write a later one over it (agreement.go).
type QuietError struct{ Wait time.Duration }

func (e *QuietError) Error() string {
	return fmt.Sprintf("keyring: the key ring was written back after the store had lost it, and may change in %v", e.Wait.Round(time.Second))
}

// without is the ring after one of its keys was found to be in wrong hands; false if it has not that key, or may not
// change now. Like turned it decides and does nothing else. What the key was for goes to the next in line at once, also
// if that has not been published for publishFor: a verifier that does not know it asks again, one that went on
// believing the withdrawn key would be the worse trouble.
func (r *Ring) without(id string, now time.Time, p plan) (*Ring, bool) {
	gone, there := r.byID(id)
	if !there || now.Before(r.quiet) {
		return r, false
	}
	t := Ring{generation: r.generation + 1, beginning: r.beginning, life: r.life, gone: r.gone}
	t.leave(*gone)
	var keys []Key
	for _, k := range r.keys {
		if k.id == id {
			continue
		}
		if gone.state == active && k.state == next {
			k = k.in(active, now)
		}
		keys = append(keys, k)
	}
	if t.with(keys...).in(active) == nil {
		s := p.successor(t.with(keys...))
		if s == nil {
			return r, false // it lives outside, and no other is listed: there is nothing to sign with
		}
		keys = append(keys, s.in(active, now))
	}
	if t.with(keys...).in(next) == nil {
		keys = p.follow(t.with(keys...), now)
	}
	return t.with(keys...), true
}
