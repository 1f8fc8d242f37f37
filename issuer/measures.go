package issuer

import (
	"sync"
	"time"
)

// How many revocations may wait at a time, each for a lease, with a connection and some kilobytes. One client gets an
// eighth: it cannot keep the others from revoking.
const (
	maxWaiting          = 4096
	maxWaitingPerClient = maxWaiting / 8
)

// measures hold each client to its measure of revocations. They are kept in this process alone: what they protect, the
// log and who waits here, is not worth a round trip to the store.
type measures struct {
	every time.Duration // one more, each
	burst time.Duration // what may be used at once, in the same unit

	mu      sync.Mutex          // guards all below
	of      map[string]*measure // by client id; of those that have ever asked
	waiting int
}

// measure is a token bucket in one number: the moment at which the client has its whole burst again (GCRA).
type measure struct {
	free    time.Time
	waiting int
}

func newMeasures(rate float64, burst int) *measures {
	m := &measures{every: time.Duration(float64(time.Second) / rate), of: map[string]*measure{}}
	m.burst = m.every * time.Duration(burst)
	return m
}

// enter counts one revocation of a client; leave is called when it has been answered.
func (m *measures) enter(id string, now time.Time) (leave func(), no *refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.of[id]
	if one == nil { // the client has authenticated: there are not more of them than clients
		one = &measure{}
		m.of[id] = one
	}
	free := one.free
	if free.Before(now) {
		free = now
	}
	wait := free.Add(m.every).Sub(now) - m.burst
	switch {
	case wait > 0:
		return nil, &refusal{outcome: rateReached, why: "this client revokes too fast: wait and ask again", retry: wait}
	case one.waiting >= maxWaitingPerClient:
		return nil, &refusal{outcome: rateReached, why: "this client has too many revocations waiting: ask again when they are answered", retry: time.Second}
	case m.waiting >= maxWaiting:
		return nil, unavailableNow("too many revocations are waiting", nil)
	}
	one.free = free.Add(m.every)
	one.waiting++
	m.waiting++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		one.waiting--
		m.waiting--
	}, nil
}
