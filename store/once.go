package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxOnce is the longest that a name may be taken for. It bounds what one client can leave in the store.
const maxOnce = 10 * time.Minute

// errForgotten: the name is not taken, as far as this incarnation of the shard knows; but one before it may have known more.
var errForgotten = fmt.Errorf("this name could have been taken before the store was opened anew, and forgotten; mend: wait some %d s, and use a new one", clockSlack)

// checkOnce: from is the first moment at which anybody can have taken the name, until the last.
func checkOnce(name string, from, until time.Time) error {
	switch {
	case until.Before(from) || until.Sub(from) > maxOnce:
		return fmt.Errorf("a name is taken for at most %v", maxOnce)
	case from.Unix() < 0 || until.Year() > 9999:
		return errors.New("a name is taken between 1970 and 9999")
	}
	return checkName("name", name)
}

// Once takes a name that nobody has taken, until a moment, for one caller of all; it is kept a little longer, for clocks that
// differ. It reports whether the name was free; ErrUnavailable (with ErrClosed), after which the name may be taken: it is never
// retried inside. from is the first moment at which anybody can have taken it; if the shard was opened after that, the answer
// is ErrUnavailable: a store that has lost what it knew must not give a name twice.
func (r *Redis) Once(ctx context.Context, name string, from, until time.Time) (free bool, err error) {
	if err := ready(ctx, checkOnce(name, from, until)); err != nil {
		return false, fmt.Errorf("once: %w", err)
	}
	k := r.home(name)
	_, err = r.ask(ctx, onceScript, []string{k.once(name), k.head(), k.dummy()}, name, from.Unix(), upUnix(until), clockSlack)
	return freed(err)
}

// Once is Redis' Once.
func (m *Memory) Once(ctx context.Context, name string, from, until time.Time) (free bool, err error) {
	err = m.inOpen(ctx, m.ShardOf(name), checkOnce(name, from, until), func(s *memoryShard) error {
		return s.once(name, from.Unix(), upUnix(until)+clockSlack, time.Now().Unix())
	})
	if err != nil {
		err = fmt.Errorf("once: %w", err)
	}
	return freed(err)
}

// freed: that a name is taken is an answer, not an error.
func freed(err error) (free bool, _ error) {
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

func (s *memoryShard) once(name string, from, ends, now int64) error {
	if from-clockSlack <= s.head.since {
		return fmt.Errorf("%w: %w", ErrUnavailable, errForgotten)
	}
	if ends <= now {
		return errExpired
	}
	steps := 0
	for other, end := range s.names { // in no order, so that all have their turn
		if end <= now {
			delete(s.names, other)
		}
		if steps++; steps == sweepSteps {
			break
		}
	}
	if s.names[name] > now {
		return ErrExists
	}
	s.names[name] = ends
	return nil
}

// upUnix is never before t.
func upUnix(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}
