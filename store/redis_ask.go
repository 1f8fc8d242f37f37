package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ask runs one script about one name, counts and times it, and reads its answer.
func (r *Redis) ask(ctx context.Context, s script, keys []string, name string, args ...any) ([]string, error) {
	begun := time.Now()
	var values []string
	answer, err := bounded(ctx, r.timeout, func(ctx context.Context) ([]string, error) {
		return r.send(ctx, s, keys, append([]any{name}, args...)).StringSlice()
	})
	if err == nil {
		values, err = s.read(answer, name)
	}
	r.meters.record(ctx, s.command, time.Since(begun), err)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.command, err)
	}
	return values, nil
}

// send is one round trip, two where Redis does not have the script yet: NOSCRIPT says that nothing has run, so
// sending the text after it is no retry.
func (r *Redis) send(ctx context.Context, s script, keys []string, args []any) *redis.Cmd {
	if s.readOnly {
		return s.lua.RunRO(ctx, r.client, keys, args...)
	}
	return s.lua.Run(ctx, r.client, keys, args...)
}

var errPanicked = errors.New("the client library panicked")

// bounded runs do for at most limit, and leaves as soon as ctx ends. go-redis takes over a context's deadline, but a
// cancellation does not wake its socket read: then do finishes alone, within limit, and its answer is dropped.
func bounded[T any](ctx context.Context, limit time.Duration, do func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan result, 1) // one: an abandoned do must not wait for a reader
	go func() {
		answer := result{err: errPanicked}
		defer func() {
			_ = recover() // a fault of go-redis costs one command, not the process; the answer is still errPanicked
			done <- answer
		}()
		answer.value, answer.err = do(ctx)
	}()
	var got result
	select {
	case got = <-done:
	case <-ctx.Done():
		got.err = ctx.Err()
	}
	if got.err == nil {
		return got.value, nil
	}
	// Whatever go-redis makes of a context that ended, the caller finds the context's own error. The socket has the
	// same deadline, and may be the first to notice it.
	ended := ctx.Err()
	if late, ok := errors.AsType[net.Error](got.err); ended == nil && ok && late.Timeout() {
		ended = context.DeadlineExceeded
	}
	if ended != nil {
		return got.value, fmt.Errorf("%w: no answer: %w", ErrUnavailable, ended)
	}
	return got.value, fault(got.err)
}

// mends says, by the first words of an answer of Redis, what its operator can do.
var mends = []struct{ prefix, mend string }{
	{"NOAUTH", "Redis wants a password: configure one"},
	{"WRONGPASS", "check user name and password"},
	{"NOPERM", "give this ACL user the permissions in the documentation of package store"},
	{"ERR ACL failure", "give this ACL user the permissions in the documentation of package store"},
	{"READONLY", "this node is a replica: point the address at the primary"},
	{"MASTERDOWN", "this node is a replica: point the address at the primary"},
	{"OOM", "raise Redis' maxmemory, or lower the quotas"},
	{"LOADING", "Redis is reading its data: wait"},
	{"MOVED", "this is a node of a cluster: point the address at a single Redis"},
	{"ERR unknown command", "use Redis 7.0 or newer, or Valkey"},
	{"CLUSTERDOWN", "this is a node of a cluster: point the address at a single Redis"},
}

// fault reads an error of go-redis. Only damage that Redis itself reports is ErrCorrupt (the head's is told apart by the
// scripts); all else, also what nobody foresaw, is ErrUnavailable, so that it can never be taken for an answer about the
// record.
func fault(err error) error {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	text, _, _ := strings.Cut(reply.Error(), " script: ")          // then comes the script's digest
	text, _, _ = strings.Cut(text, ", with args beginning with: ") // then come the arguments
	if strings.HasPrefix(text, "WRONGTYPE") {
		return fmt.Errorf("%w: %s", ErrCorrupt, text)
	}
	for _, m := range mends {
		if strings.HasPrefix(text, m.prefix) {
			return fmt.Errorf("%w: %s; mend: %s", ErrUnavailable, text, m.mend)
		}
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, text)
}
