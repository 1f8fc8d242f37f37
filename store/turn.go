package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrReplayed says that a token of the family was presented that has been used before, and is not asked about again in time:
// two hold what only one should. Nothing was written.
var ErrReplayed = errors.New("store: refresh token was used before")

// MaxAnswer is how large a sealed answer may be, in bytes.
const MaxAnswer = 8 << 10

// answerFor is how long the answer to a token is given again to the same request; by the store's clock.
const answerFor = 10 * time.Second

// Turn is one use of a refresh token. Tokens, and what they are used for, are known to the store by names: one-way hashes, of
// the alphabet of a jti.
type Turn struct {
	Family    string // jti of the family's record
	Presented string // the token that was presented
	Next      string // the token that follows it
	Request   string // what is asked with it
	Answer    []byte // sealed: what is answered; 1 to MaxAnswer bytes
}

// check also wants the grant where the family is: one script writes both.
func (t Turn) check(r Record, shards int) error {
	for what, name := range map[string]string{"family": t.Family, "presented": t.Presented, "next": t.Next, "request": t.Request} {
		if err := checkName(what, name); err != nil {
			return err
		}
	}
	if len(t.Answer) == 0 || len(t.Answer) > MaxAnswer {
		return fmt.Errorf("answer has %d bytes, must have 1 to %d", len(t.Answer), MaxAnswer)
	}
	if home, other := shardOf(t.Family, shards), shardOf(r.JTI, shards); home != other {
		return fmt.Errorf("the family is in shard %d, the grant in %d: they must be in one", home, other)
	}
	if r.First != "" {
		return errors.New("a turn puts a grant, and no family")
	}
	return nil
}

// turning is where a family stands: the token that may be used, and how the one before it was used.
type turning struct {
	current, previous, request string // names
	at                         time.Time
	answer                     []byte
}

// Turn uses a refresh token: the record of the new grant is put and the family goes on to its next token, or neither. What
// is presented may be
//
//   - the family's current token: turned, and again is nil;
//   - the one before it, by the same request, within 10 s: again is the answer of that time, and nothing is written. As soon
//     as the next token has been used there is a new one before it, so that is the end of this;
//   - any other: ErrReplayed.
//
// So of any number that present one token at the same time, one puts its grant. Errors: ErrNotFound (no such family, or it is
// revoked), ErrReplayed, those of Put about the grant, and ErrCorrupt for the family. It is never retried inside: after
// ErrUnavailable it may have happened, and whoever asks again is told.
func (m *Memory) Turn(ctx context.Context, t Turn, r Record, q Quota) (again []byte, err error) {
	err = m.inOpen(ctx, m.ShardOf(t.Family), errors.Join(r.check(), t.check(r, len(m.shards))), func(s *memoryShard) error {
		again, err = s.use(t, r, q.share(len(m.shards)), m.full, time.Now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	return again, nil
}

func (s *memoryShard) use(t Turn, r Record, q Quota, full bool, now time.Time) (again []byte, err error) {
	s.sweep(now)
	family, ok := s.records[t.Family]
	was := family.turn
	switch {
	case !ok || family.expires <= now.Unix() || s.dead(family):
		return nil, ErrNotFound
	case was.current == "":
		return nil, ErrCorrupt
	case t.Presented == was.previous && t.Request == was.request && now.Sub(was.at).Abs() < answerFor:
		return bytes.Clone(was.answer), nil
	case t.Presented != was.current:
		return nil, ErrReplayed
	}
	if err := s.put(r, q, full, now); err != nil {
		return nil, err
	}
	family.turn = turning{t.Next, t.Presented, t.Request, now, bytes.Clone(t.Answer)}
	s.records[t.Family] = family
	return nil, nil
}

// Turn is Memory's.
func (r *Redis) Turn(ctx context.Context, t Turn, rec Record, q Quota) (again []byte, err error) {
	if err := ready(ctx, rec.check(), t.check(rec, len(r.shards))); err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	k := r.home(t.Family)
	keys := []string{k.record(t.Family), k.head(), k.floors(), k.record(rec.JTI), k.tomb(rec.JTI), k.quota(rec.Client)}
	args := []any{t.Presented, t.Next, t.Request, string(t.Answer), answerFor.Milliseconds(), MaxAnswer, rec.JTI}
	values, err := r.ask(ctx, turnScript, keys, t.Family, append(args, rec.args(q.share(len(r.shards)))...)...)
	if err != nil {
		return nil, err
	}
	switch values[0] {
	case "turned":
		return nil, nil
	case "again":
		return []byte(values[1]), nil
	}
	return nil, fmt.Errorf("turn: %w: %w", ErrUnavailable, errDisordered)
}
