package keyring

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Issuers agree on one ring through a store that may lose it, and that strangers may write to. What a look at the
// store finds, and what follows:
//
//	this issuer holds | the store holds                    | then
//	------------------+------------------------------------+---------------------------------------------------
//	nothing           | nothing                            | a ring is begun
//	nothing           | a ring                             | it is taken
//	a ring            | the same ring                      | it is confirmed, under whatever version
//	a ring            | a later generation of it           | that is taken: another issuer turned the ring
//	a ring            | nothing: it has lost its data      | ours is written back
//	a ring            | an earlier generation of it        | ours is written back; the earlier one is never used
//	a ring            | its generation, with other keys    | refused: both were turned from one, around a loss
//	a ring            | a ring of another beginning        | refused: somebody began anew after a loss
//	either            | something that does not open       | refused
//
// An issuer that has just started holds what its ring file kept, or nothing where it keeps none.
//
// What is later, the sealed generation says. The store's version cannot: it begins again when the store has lost its
// data. It is for compare-and-swap, and it is associated data, so that no blob opens under another version.
//
// Every write is a compare-and-swap over the version that was read: of several issuers one wins, and the others find
// its ring at their next look. What is refused is left where it is: nobody here can know which ring is the right one.
// Meanwhile the ring in hand signs until its lease ends.
//
// A ring that is written back is quiet for ringLease. The order without that, with a loss in the middle of a rotation:
//
//	1. issuer A turns generation 4 into 5; the store loses it; B, which has not looked yet, writes 4 back;
//	2. B turns 4 as well, into a 5 with another next key, and neither A nor B can accept the other's.
//
// In that minute A has long looked and written its 5 over the 4.

// change is what to make of the ring that the store holds, if that is to be changed, and how the log says so.
type change struct {
	turn    func(*Ring, plan) (*Ring, bool)
	level   slog.Level
	message string
}

// Look asks the store, does what follows, the planned turns included, and keeps the outcome. It returns what went wrong.
func (k *Keeper) Look(ctx context.Context) error {
	planned := func(r *Ring, p plan) (*Ring, bool) { return r.turned(time.Now(), p) }
	return k.lookAnd(ctx, change{planned, slog.LevelInfo, "key ring turned"})
}

func (k *Keeper) lookAnd(ctx context.Context, c change) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	have := k.kept.Load()
	if err := k.list(ctx); err != nil {
		k.kept.Store(&kept{ring: have.ring, asked: have.asked, err: err})
		return err
	}
	asked := time.Now()
	r, err := k.settle(ctx, have.ring, c)
	if err != nil {
		k.kept.Store(&kept{ring: have.ring, asked: have.asked, err: err})
		return err
	}
	k.kept.Store(&kept{ring: r.equipped(k.plan.listed), asked: asked})
	return nil
}

// list asks for the keys that live outside, under mu. A list that cannot be had changes nothing, and is said; without
// any there is nothing to go on with.
func (k *Keeper) list(ctx context.Context) error {
	if k.source == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	listed, err := ask(ctx, k.source, k.plan.algorithm, k.plan.listed)
	if err == nil {
		k.plan.listed = listed
	} else if k.plan.listed == nil {
		return err
	}
	k.trouble.report(ctx, k.logger, err)
	return nil
}

// settle agrees with the store, and keeps a ring that is new here before it is used.
func (k *Keeper) settle(ctx context.Context, held *Ring, c change) (*Ring, error) {
	ours := held
	if held == nil {
		var err error
		if ours, err = k.file.load(); err != nil {
			return nil, err
		}
	}
	r, err := k.agree(ctx, ours, c)
	if err != nil {
		return nil, err
	}
	if ours == nil || r.generation != ours.generation {
		if err := k.file.save(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// agree is the table above. It returns the ring that the store holds in the end; ours is nil when there is none yet.
func (k *Keeper) agree(ctx context.Context, ours *Ring, c change) (*Ring, error) {
	version, blob, err := k.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("keyring: read key ring: %w", err)
	}
	switch {
	case version == 0 && ours == nil:
		first, err := newRing(time.Now(), k.plan)
		if err != nil {
			return nil, err
		}
		return k.write(ctx, slog.LevelInfo, "key ring begun: the store held none", first, version)
	case version == 0:
		return k.write(ctx, slog.LevelWarn, "key ring written back: the store has lost its data", ours.written(time.Now()), version)
	}
	stored, err := openRing(k.sealing, version, blob)
	if err != nil {
		return nil, fmt.Errorf("keyring: open key ring version %d: %w", version, err)
	}
	if ours != nil {
		if err := stored.refused(ours); err != nil {
			return nil, err
		}
		if stored.generation < ours.generation {
			return k.write(ctx, slog.LevelWarn, "key ring written back: the store held an earlier one", ours.written(time.Now()), version)
		}
	}
	if turned, changed := c.turn(stored, k.plan); changed {
		return k.write(ctx, c.level, c.message, turned, version)
	}
	if stored.life < k.plan.life {
		return nil, fmt.Errorf("keyring: tokens of %v wait until %v: the key ring was written back after a loss, and knows none that live so long",
			k.plan.life, stored.quiet.UTC())
	}
	return stored, nil
}

func (k *Keeper) read(ctx context.Context) (version uint64, blob []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return k.state.State(ctx, ringName)
}

// refused says why a ring from the store can be neither ours, nor a later one, nor an earlier one.
func (r *Ring) refused(ours *Ring) error {
	switch {
	case !r.sameBeginning(ours):
		return fmt.Errorf("keyring: the store holds a key ring of another beginning (generation %d) than this issuer's (generation %d): "+
			"the store lost its data, and another issuer began anew before this one could write its ring back; "+
			"restart this issuer, without its ring file, to go on with the new one", r.generation, ours.generation)
	case r.generation == ours.generation && !r.sameKeys(ours):
		return fmt.Errorf("keyring: the store holds other keys of generation %d than this issuer: the key ring was turned twice "+
			"while the store lost its data; restart this issuer, without its ring file, to go on with the store's", r.generation)
	}
	return nil
}

// written is r to be written back now.
func (r *Ring) written(now time.Time) *Ring {
	quiet := *r
	quiet.quiet = now.Add(ringLease).Truncate(time.Second)
	return &quiet
}

// write puts r in the place of that version. Losing the race against another issuer is an error like any other: the
// next look reads what that one wrote.
func (k *Keeper) write(ctx context.Context, level slog.Level, message string, r *Ring, version uint64) (*Ring, error) {
	blob, err := r.seal(k.sealing, version+1)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := k.state.SwapState(within, ringName, version, blob); err != nil {
		return nil, fmt.Errorf("keyring: write key ring over version %d: %w", version, err)
	}
	k.logRing(ctx, level, message, r)
	return r, nil
}

func (k *Keeper) logRing(ctx context.Context, level slog.Level, message string, r *Ring) {
	k.logger.LogAttrs(ctx, level, message, slog.Uint64("generation", r.generation),
		slog.String("key_id", r.Active().id), slog.Int("keys", len(r.keys)))
}
