package revocation

import (
	"context"
	"errors"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"golang.org/x/sync/errgroup"
)

// The store is asked about watched grants in doubt by so many at a time, and each waits so long for its answer.
const (
	confirmers     = 16
	confirmTimeout = time.Second
)

// confirm asks the store about the grants in doubt, in the background and in one round at a time. It is called after
// each pull, and leaves out shards that have not answered it: their store is away, and asking would only add to that.
func (f *Follower) confirm(ctx context.Context) {
	if f.asking.Load() {
		return
	}
	var doubtful []*Watch
	for _, s := range f.shards {
		doubtful = s.appendDoubtful(doubtful)
	}
	if len(doubtful) == 0 {
		return
	}
	f.asking.Store(true)
	f.rounds.Go(func() {
		defer f.asking.Store(false)
		round, ctx := errgroup.WithContext(ctx)
		round.SetLimit(confirmers)
		for _, w := range doubtful {
			round.Go(func() error { return f.ask(ctx, w) })
		}
		_ = round.Wait() // after a pull the next round asks about those that are left
	})
}

func (s *followed) appendDoubtful(ws []*Watch) []*Watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != nil {
		return ws
	}
	for w := range s.doubtful {
		ws = append(ws, w)
	}
	return ws
}

// ask asks the store about one grant. An error says that the store is away, and ends the round.
//
// An answer takes the doubt away if it could be kept, for then everything applied so far is in it, and what is applied
// from now on finds the watch. An answer that was overtaken leaves it to the next round.
func (f *Follower) ask(ctx context.Context, w *Watch) error {
	if ctx.Err() != nil || !w.doubtful() {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	taken, err := f.log.Take(ctx, w.jti)
	s := w.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, watched := s.watches[w]; !watched {
		return nil
	}
	var m Mark
	switch {
	case errors.Is(err, store.ErrNotFound):
		w.cut(Revoked)
	case errors.Is(err, store.ErrCorrupt): // this record alone; its watch stays in doubt
	case err != nil:
		return err
	case f.keep(s, &m, taken, &w.names):
		delete(s.doubtful, w)
		w.review()
	}
	return nil
}

func (w *Watch) doubtful() bool {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	_, doubtful := w.shard.doubtful[w]
	return doubtful
}
