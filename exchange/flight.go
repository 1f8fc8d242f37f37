package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// flightLimit bounds one flight: a question to the store and, at worst, one fetch of the issuer's keys.
const flightLimit = 10 * time.Second

var errPanic = errors.New("internal error while asking the store; see the log")

// flights makes sure that the store is asked once for a jti, however many requests wait for the answer.
type flights struct {
	mu     sync.Mutex
	flying map[string]*flight // guarded by mu; by jti
}

// flight is one question to the store. Whoever joins waits as long as its own ctx lets it; the flight outlives any
// one of them, under a deadline of its own.
type flight struct {
	mark  *atomic.Uint64
	drops uint64 // at mark, read before the store is asked
	done  chan struct{}
	// entry and err are the answer, set before done is closed. Neither an error nor a panic is kept beyond it.
	entry *entry
	err   error
}

// ask joins the flight for a jti, or starts one.
//
// A swap that came too late for the flight:
//
//  1. swap S looks into the cache: nothing
//  2. flight F puts its answer into the cache, and then leaves flying
//  3. S takes mu and finds no flight
//
// Hence S looks once more under mu: F has left, so its answer is there. And a flight that began before a Drop is not
// joined after it: its answer may be from before the revocation.
func (x *Exchange) ask(ctx context.Context, r Reference, key cacheKey) (*entry, error) {
	jti := r.JTI()
	x.flights.mu.Lock()
	if e := x.cache.get(key); e != nil && e.fresh(x.clock()) {
		x.flights.mu.Unlock()
		return e, nil
	}
	f := x.flights.flying[jti]
	if f == nil || f.mark.Load() != f.drops {
		f = &flight{mark: x.drops.mark(jti), done: make(chan struct{})}
		f.drops = f.mark.Load()
		x.flights.flying[jti] = f
		go x.fly(context.WithoutCancel(ctx), f, r, jti, key)
	}
	x.flights.mu.Unlock()

	select {
	case <-f.done:
		return f.entry, f.err
	case <-ctx.Done():
		return nil, refuse(ReasonUnavailable, fmt.Errorf("waiting for the store: %w", context.Cause(ctx)))
	}
}

// fly runs a flight to its end.
func (x *Exchange) fly(ctx context.Context, f *flight, r Reference, jti string, key cacheKey) {
	ctx, cancel := context.WithTimeout(ctx, flightLimit)
	defer cancel()
	defer x.land(f, jti)
	defer func() {
		if p := recover(); p != nil {
			f.err = refuse(ReasonUnavailable, errPanic)
			x.log.LogAttrs(ctx, slog.LevelError, "exchange: flight panicked",
				slog.String("jti", jti), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	f.entry, f.err = x.fill(ctx, f, r, jti, key)
}

// land lets everybody have the answer. A flight that has been replaced meanwhile leaves its successor alone.
func (x *Exchange) land(f *flight, jti string) {
	x.flights.mu.Lock()
	if x.flights.flying[jti] == f {
		delete(x.flights.flying, jti)
	}
	x.flights.mu.Unlock()
	close(f.done)
}
