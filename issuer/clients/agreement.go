package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Issuers agree on one register through a store that may lose it, and that strangers may write to. What a look at the
// store finds, and what follows:
//
//	this issuer knows  | the store holds                           | then
//	-------------------+-------------------------------------------+---------------------------------------------------
//	nothing            | nothing                                   | nobody has been added; the first one begins it
//	nothing            | a register                                | it is taken, if it adds up
//	that there was one | nothing, or an earlier one                | refused, until somebody who has it writes it back
//	one                | the same version of it                    | it is confirmed
//	one                | a later version                           | the changes are taken, if it all adds up
//	one                | nothing: it has lost its data             | ours is written back
//	one                | an earlier version                        | ours is written back; the earlier one is never used
//	one                | one that was written back by somebody     | ours is written back instead, while that one is quiet;
//	                   | who knew less than we                     | later it is refused: changes may have followed
//	one                | one of another beginning                  | refused: somebody began anew after a loss
//	any                | what does not open, or does not add up    | refused
//
// "That there was one" is what the file of an issuer says that has been restarted. It has no entries, for they would have
// to be written to disk twice a second while thousands are created; so a register is lost when the store and all running
// issuers are, and then the store's own copy has to be restored.
//
// What is later, the sealed head says: how often the register was written back (epoch), then its version. The version
// counts on over a loss, so that no version is ever used twice in one epoch.
//
// What is refused is left where it is. Meanwhile, after the lease, no client that was added is let in.
//
// One that is written back is quiet: for a while nobody changes it, so that whoever knew more can say so. Without that, a
// change that only one issuer had seen would be undone by another's write-back, with a later change on top of it.
const quietFor = 5 * time.Second

// agree is the table above. It returns what the store holds in the end.
func (a *added) agree(ctx context.Context, have *roll) (*roll, error) {
	answer, err := a.ask(ctx, have.version)
	if err != nil {
		return nil, err
	}
	if have.version > 0 && answer.Version == have.version && bytes.Equal(answer.Blob, have.sealed) && len(answer.Entries) == 0 {
		return have, nil
	}
	if answer.Version == 0 {
		return a.agreeNothing(ctx, have)
	}
	h, err := openHead(a.sealing, answer.Version, answer.Blob)
	if err != nil {
		return nil, err
	}
	if have.version == 0 {
		return a.take(ctx, have, h, answer)
	}
	switch {
	case !bytes.Equal(h.Beginning, have.head.Beginning):
		return nil, fmt.Errorf("clients: the store holds a register of clients of another beginning (version %d) than this issuer's (version %d): "+
			"the store lost its data, and another issuer began anew before this one could write its own back; "+
			"restart this issuer, without its file of clients, to go on with the new one", answer.Version, have.version)
	case h.Epoch < have.head.Epoch || h.Epoch == have.head.Epoch && answer.Version < have.version:
		return a.writeBack(ctx, "clients written back: the store held an earlier register", have, answer.Version, h.Epoch)
	case h.Epoch == have.head.Epoch && answer.Version == have.version && !have.vouches(h):
		return nil, fmt.Errorf("clients: the store holds another register of clients than this issuer under the same version %d: "+
			"it was changed twice around a loss; restart this issuer, without its file of clients, to go on with the store's", have.version)
	case h.Epoch > have.head.Epoch && h.Restored < have.version:
		if time.Now().Unix() >= h.Quiet {
			return nil, fmt.Errorf("clients: the register of clients was written back by an issuer that knew version %d, and this issuer knows version %d: "+
				"changes between them are lost; restart this issuer, without its file of clients, to go on with the store's", h.Restored, have.version)
		}
		return a.writeBack(ctx, "clients written back: another issuer had written back less", have, answer.Version, h.Epoch)
	}
	return a.take(ctx, have, h, answer)
}

// agreeNothing: the store has no register.
func (a *added) agreeNothing(ctx context.Context, have *roll) (*roll, error) {
	if have.version > 0 {
		return a.writeBack(ctx, "clients written back: the store has lost its data", have, 0, have.head.Epoch)
	}
	before, err := a.file.load()
	if err != nil {
		return nil, err
	}
	if before != nil {
		return nil, fmt.Errorf("clients: the store has lost the register of clients, of which this issuer has seen version %d: "+
			"start an issuer that still has it, restore the store from its newest copy, or delete this issuer's file to begin anew", before.Version)
	}
	return have, nil
}

// take reads what has changed, and believes it only if it adds up to what the head says; if not, all of it, once more: an
// issuer that wrote the whole register has left entries out that nobody needs any more.
func (a *added) take(ctx context.Context, have *roll, h head, answer store.Register) (*roll, error) {
	if have.version == 0 {
		before, err := a.file.load()
		if err != nil {
			return nil, err
		}
		if before != nil {
			if err := before.refuses(h, answer.Version); err != nil {
				return nil, err
			}
		}
	} else {
		next, err := a.read(ctx, have, answer)
		if err == nil || !errors.Is(err, errNotWhole) {
			return next, err
		}
		if answer, err = a.ask(ctx, 0); err != nil {
			return nil, err
		}
	}
	empty := newRoll()
	empty.head.Beginning = h.Beginning
	return a.read(ctx, empty, answer)
}

var errNotWhole = errors.New("clients: the register of clients does not add up: somebody who has not the key has taken an entry out of the store, or put an older one in; " +
	"restart an issuer that still has it, or restore the store from its newest copy")

// read adds a page and all that follow to what there is.
func (a *added) read(ctx context.Context, have *roll, answer store.Register) (*roll, error) {
	var changed []*entry
	k := have.head.hands()
	for {
		for _, s := range answer.Entries {
			e, err := a.openEntry(k, s)
			if err != nil {
				return nil, err
			}
			changed = append(changed, e)
		}
		if !answer.More {
			break
		}
		var err error
		if answer, err = a.ask(ctx, answer.Entries[len(answer.Entries)-1].Version); err != nil {
			return nil, err
		}
	}
	h, err := openHead(a.sealing, answer.Version, answer.Blob)
	if err != nil {
		return nil, err
	}
	next := have.with(answer.Version, changed...)
	if !bytes.Equal(h.Beginning, have.head.Beginning) || !next.vouches(h) {
		return nil, errNotWhole
	}
	next.head, next.sealed = h, answer.Blob
	return next, nil
}

// writeBack puts ours in the place of what the store holds, whole, in one step.
func (a *added) writeBack(ctx context.Context, message string, ours *roll, old, epoch uint64) (*roll, error) {
	next := ours.with(max(old, ours.version) + 1)
	next.head.Epoch = max(epoch, ours.head.Epoch) + 1
	next.head.Restored, next.head.Quiet = ours.version, time.Now().Add(quietFor).Unix()
	w, err := a.whole(next)
	if err != nil {
		return nil, err
	}
	if err := a.store.SwapRegister(ctx, registerName, old, w); err != nil {
		return nil, fmt.Errorf("clients: write register back over version %d: %w", old, err)
	}
	next.sealed = w.Blob
	a.logger.LogAttrs(ctx, slog.LevelWarn, message, slog.Uint64("version", next.version), slog.Int("entries", len(next.entries)))
	return next, nil
}

// whole is all of a roll, to be written.
func (a *added) whole(r *roll) (store.RegisterWrite, error) {
	w := store.RegisterWrite{Version: r.version, Blob: r.head.seal(a.sealing, r.version), Whole: true}
	k := r.head.hands()
	for _, e := range r.entries {
		s, err := e.seal(a.sealing, k)
		if err != nil {
			return store.RegisterWrite{}, err
		}
		w.Entries = append(w.Entries, s)
	}
	return w, nil
}
