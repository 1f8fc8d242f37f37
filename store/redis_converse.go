package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// question is one call of a script among several; its answer begins with name.
type question struct {
	keys []string
	name string
	args []any
}

// reply is the answer to one question: the values that follow "ok", or an error of this package.
type reply struct {
	values []string
	err    error
}

// piped is a client, or one connection of it.
type piped interface{ Pipeline() redis.Pipeliner }

// converse asks several questions of one script in one round trip, and whatever last adds after them. Where Redis does
// not have the script, it sends the rest once more, from the first that has not run for it: none after that one has, or
// it knows that it has. An error is of the connection; Redis' own errors are in the replies.
func converse(ctx context.Context, c piped, s script, asked []question, last func(redis.Pipeliner)) ([]reply, error) {
	replies, missing, err := exchange(ctx, c, s, asked, false, last)
	if err == nil && missing >= 0 {
		var rest []reply
		rest, _, err = exchange(ctx, c, s, asked[missing:], true, last)
		replies = append(replies[:missing], rest...)
	}
	return replies, err
}

// exchange is one round trip; text sends the first script as text. missing is the first for which Redis had no script.
func exchange(ctx context.Context, c piped, s script, asked []question, text bool, last func(redis.Pipeliner)) (replies []reply, missing int, err error) {
	p := c.Pipeline()
	cmds := make([]*redis.Cmd, len(asked))
	for i, q := range asked {
		cmds[i] = s.queue(ctx, p, q, text && i == 0)
	}
	last(p)
	_, err = p.Exec(ctx) // the first error of all; each command has its own
	if err != nil && cmds[0].Err() == nil && cmds[0].Val() == nil {
		return nil, -1, err // but for one: that Redis did not let the connection in is told only here
	}
	replies, missing = make([]reply, len(asked)), -1
	for i, cmd := range cmds {
		answer, err := cmd.StringSlice()
		if _, ours := errors.AsType[redis.Error](err); err != nil && !ours {
			return nil, -1, err
		}
		if missing < 0 && redis.HasErrorPrefix(err, "NOSCRIPT") {
			missing = i
		}
		if err != nil {
			replies[i].err = fault(err)
			continue
		}
		replies[i].values, replies[i].err = s.read(answer, asked[i].name)
	}
	return replies, missing, nil
}

func (s script) queue(ctx context.Context, p redis.Pipeliner, q question, text bool) *redis.Cmd {
	args := append([]any{q.name}, q.args...)
	switch {
	case text && s.readOnly:
		return s.lua.EvalRO(ctx, p, q.keys, args...)
	case text:
		return s.lua.Eval(ctx, p, q.keys, args...)
	case s.readOnly:
		return s.lua.EvalShaRO(ctx, p, q.keys, args...)
	}
	return s.lua.EvalSha(ctx, p, q.keys, args...)
}
