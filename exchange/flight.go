package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
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
	done chan struct{}
	// answer and err are set before done is closed. Neither an error nor a panic is kept beyond it.
	answer answer
	err    error
}

// ask joins the flight for a jti, or starts one. Strict asks for itself: another's question may have been put before
// this request came.
//
// A swap that came too late for the flight:
//
//  1. swap S looks into the cache: nothing
//  2. flight F puts its answer into the cache, and then leaves flying
//  3. S takes mu and finds no flight
//
// Hence S looks once more under mu: F has left, so its answer is there, if it could be kept. A flight that asked before
// a revocation may be joined after it: its answer is too old to be used before the revocation is confirmed to anyone.
func (x *Exchange) ask(ctx context.Context, r Reference, key cacheKey, fresh Freshness) (answer, error) {
	jti := r.JTI()
	if fresh == Strict {
		f := &flight{done: make(chan struct{})} // never in flying
		x.fly(ctx, f, r, jti, key)
		return f.answer, f.err
	}
	x.flights.mu.Lock()
	if e := x.cache.get(key); e != nil && x.revocations.Holds(&e.mark, &e.grant.names, time.Now()) {
		x.flights.mu.Unlock()
		return answer{entry: e, kept: true}, nil
	}
	f := x.flights.flying[jti]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		x.flights.flying[jti] = f
		go x.fly(context.WithoutCancel(ctx), f, r, jti, key)
	}
	x.flights.mu.Unlock()

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return answer{}, refuse(ReasonUnavailable, fmt.Errorf("waiting for the store: %w", context.Cause(ctx)))
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
	f.answer, f.err = x.fill(ctx, r, jti, key)
}

// land lets everybody have the answer. A flight that nobody could join leaves the one that is flying alone.
func (x *Exchange) land(f *flight, jti string) {
	x.flights.mu.Lock()
	if x.flights.flying[jti] == f {
		delete(x.flights.flying, jti)
	}
	x.flights.mu.Unlock()
	close(f.done)
}
