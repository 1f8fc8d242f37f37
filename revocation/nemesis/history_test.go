// Package nemesis_test runs real edges, issuers and a real Redis, does to them what happens to processes and networks, and
// checks the promise of package revocation: after a revocation has been answered, no edge decides to let the token through.
//
// What is looked at is written down by those who did it: the workers say when they asked for a revocation and when they
// had the answer, the edges say when they decided, the service behind them when a request arrived. All use the host's one
// monotonic clock. A checker that knows nothing of how it works then compares.
package nemesis_test

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// moment is a reading of the host's CLOCK_MONOTONIC, in nanoseconds: one clock for all processes.
type moment int64

// now reads the clock by which edges say when they decided (decided_ns).
func now() moment {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return moment(t.Nano())
}

func (m moment) since(earlier moment) time.Duration { return time.Duration(m - earlier) }

// issued is a token that a client has received.
type issued struct {
	jti, client string
	at          moment // it was in the client's hands
}

// revoked is one revocation, as whoever asked for it saw it.
type revoked struct {
	kind, name string // kind: token (name is its jti), client, all
	called     moment
	answered   moment // 0: never with success
}

// probe is one request that carried a token.
type probe struct {
	jti    string
	sent   moment
	status int // 0: no answer
}

// seen is a decision to let a token through, or the arrival of its JWT at the service.
type seen struct {
	jti string
	at  moment
	who string
}

// history is what happened. It is safe for concurrent use while it is written.
type history struct {
	mu        sync.Mutex // guards all below
	issues    []issued
	revokes   []revoked
	probes    []probe
	decisions []seen
	arrivals  []seen
}

func (h *history) add(event any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := event.(type) {
	case issued:
		h.issues = append(h.issues, e)
	case revoked:
		h.revokes = append(h.revokes, e)
	case probe:
		h.probes = append(h.probes, e)
	default:
		panic("nemesis: no such event")
	}
}

func (h *history) arrived(s seen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrivals = append(h.arrivals, s)
}
