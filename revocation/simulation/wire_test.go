package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// server is a Redis: a Memory that may be down.
type server struct {
	*store.Memory
	name string
	down gate
}

// gate is shut for a while. While a process is shut it is paused; while a way is shut nothing gets through.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // guarded by mu; nil: open. Closed when it opens
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// wait waits until it is open. Those who wait go on one after another.
func (g *gate) wait(r *rand.Rand) {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return
		}
		<-shut
		time.Sleep(between(r, 0, time.Millisecond))
	}
}

// host is what one process runs on: its way to the store, and its clock. It outlives the process.
type host struct {
	w      *world
	name   string
	cut    gate // a partition: what is on the way is lost
	paused gate // SIGSTOP: it begins nothing, and hears nothing
	drift  float64

	mu     sync.Mutex
	server *server // guarded by mu; the one that it takes for the master
}

func (h *host) master() *server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server
}

func (h *host) turn(to *server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = to
}

// clock is a duration of a true clock as this host's would be asked to measure it: its rate is a little wrong.
func (h *host) clock(d time.Duration) time.Duration { return d + time.Duration(float64(d)*h.drift) }

// patience is how long a host waits for an answer: the store's client has such a bound.
const patience = 250 * time.Millisecond

// call asks the server: the request is on its way, is executed at one moment, and the answer is on its way. Each can be
// late or lost, and what is too late for the caller is executed all the same.
func call[T any](ctx context.Context, h *host, op string, do func(*server) T) (answer T, err error) {
	r := h.w.dice.of(h.name + " " + op)
	h.paused.wait(r)
	h.w.weather.hold(r)
	there, back := h.w.weather.delay(r), h.w.weather.delay(r)
	lost, mute := chance(r, h.w.weather.lossRate()), chance(r, h.w.weather.lossRate())
	server := h.master()
	done := make(chan T, 1)
	h.w.flying.Go(func() {
		time.Sleep(there)
		if lost || h.cut.isShut() || server.down.isShut() {
			return
		}
		got := do(server)
		time.Sleep(back)
		if mute || h.cut.isShut() {
			return
		}
		done <- got
	})
	limit := time.NewTimer(patience + time.Duration(r.IntN(1000)))
	defer limit.Stop()
	select {
	case answer = <-done:
	case <-limit.C:
		err = fmt.Errorf("%w: %s of %s got no answer", store.ErrUnavailable, op, h.name)
	case <-ctx.Done():
		err = fmt.Errorf("%w: %s of %s: %w", store.ErrUnavailable, op, h.name, ctx.Err())
	}
	h.w.weather.hold(r)
	h.paused.wait(r) // whoever was stopped learns of it later
	return answer, err
}

// result is what most calls give.
type result[T any] struct {
	value T
	err   error
}

func ask[T any](ctx context.Context, h *host, op string, do func(*server) (T, error)) (T, error) {
	a, err := call(ctx, h, op, func(s *server) result[T] {
		v, err := do(s)
		return result[T]{v, err}
	})
	if err != nil {
		var none T
		return none, err
	}
	return a.value, a.err
}

// Shards and ShardOf are the same everywhere.
func (h *host) Shards() int            { return h.w.shards }
func (h *host) ShardOf(jti string) int { return h.master().ShardOf(jti) }

// Pull reads all shards in one pipeline.
func (h *host) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	answers, err := call(ctx, h, "pull", func(s *server) []store.Pulled { return s.Pull(context.Background(), after, seen) })
	if err != nil {
		answers = make([]store.Pulled, h.Shards())
		for i := range answers {
			answers[i].Err = err
		}
	}
	for i := range answers {
		answers[i].Lease = h.clock(answers[i].Lease)
	}
	return answers
}

// Take reads a record.
func (h *host) Take(ctx context.Context, jti string) (store.Taken, error) {
	taken, err := ask(ctx, h, "take "+h.w.nameOf(jti), func(s *server) (store.Taken, error) { return s.Take(context.Background(), jti) })
	taken.Lease = h.clock(taken.Lease)
	return taken, err
}

// Put writes a record.
func (h *host) Put(ctx context.Context, r store.Record, q store.Quota) error {
	_, err := ask(ctx, h, "put "+h.w.nameOf(r.JTI), func(s *server) (struct{}, error) {
		err := s.Put(context.Background(), r, q)
		h.w.history.tell("%s put %s: %v", h.name, h.w.nameOf(r.JTI), err)
		return struct{}{}, err
	})
	return err
}

// Shard reads the state of a shard.
func (h *host) Shard(ctx context.Context, shard int, issuer string) (store.Shard, error) {
	return ask(ctx, h, fmt.Sprint("shard ", shard), func(s *server) (store.Shard, error) { return s.Shard(context.Background(), shard, issuer) })
}

// Revoke writes to the log.
func (h *host) Revoke(ctx context.Context, shard int, by store.Author, fence string, batch []store.Numbered, replicas int) (store.Revoked, error) {
	return ask(ctx, h, fmt.Sprint("revoke ", shard), func(s *server) (store.Revoked, error) {
		a, err := s.Revoke(context.Background(), shard, by, fence, batch, replicas)
		for _, n := range batch {
			h.w.history.tell("%s revokes %s %s in shard %d of %s (fenced: %v): %v", h.name, n.Kind, h.w.nameOf(n.Name), shard, s.name, fence != "", err)
		}
		return a, err
	})
}

// Enrol enrols a journal.
func (h *host) Enrol(ctx context.Context, shard int, by store.Author, insteadOf string) error {
	_, err := ask(ctx, h, fmt.Sprint("enrol ", shard), func(s *server) (struct{}, error) {
		err := s.Enrol(context.Background(), shard, by, insteadOf)
		h.w.history.tell("%s enrols in shard %d of %s: %v", h.name, shard, s.name, err)
		return struct{}{}, err
	})
	return err
}

// Vote votes on a closed shard.
func (h *host) Vote(ctx context.Context, shard int, by store.Author, replication string, whole bool) error {
	_, err := ask(ctx, h, fmt.Sprint("vote ", shard), func(s *server) (struct{}, error) {
		err := s.Vote(context.Background(), shard, by, replication, whole)
		h.w.history.tell("%s votes on shard %d of %s, whole %v: %v", h.name, shard, s.name, whole, err)
		return struct{}{}, err
	})
	return err
}

// Open opens a closed shard.
func (h *host) Open(ctx context.Context, shard int, o store.Opening) (bool, error) {
	return ask(ctx, h, fmt.Sprint("open ", shard), func(s *server) (bool, error) {
		ended, err := s.Open(context.Background(), shard, o)
		h.w.history.tell("%s opens shard %d of %s, ended %v: %v", h.name, shard, s.name, ended, err)
		return ended, err
	})
}

// SetLease sets a shard's lease.
func (h *host) SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error {
	_, err := ask(ctx, h, fmt.Sprint("lease ", shard), func(s *server) (struct{}, error) {
		err := s.SetLease(context.Background(), shard, id, lease, sleep)
		h.w.history.tell("%s sets the lease of shard %d of %s to %v, sleep %v: %v", h.name, shard, s.name, lease, sleep, err)
		return struct{}{}, err
	})
	return err
}
