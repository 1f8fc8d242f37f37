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

// measures hold each client to its measure of revocations, which is below that of requests: each may take a lease.
type measures struct {
	pace *pace[string] // by client id

	mu      sync.Mutex     // guards all below
	of      map[string]int // how many wait, by client id
	waiting int
}

func newMeasures(rate float64, burst int) *measures {
	return &measures{pace: newPace[string](rate, burst), of: map[string]int{}}
}

// enter counts one revocation of a client; leave is called when it has been answered.
func (m *measures) enter(id string, now time.Time) (leave func(), no *refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch wait := m.pace.wait(id, now); {
	case wait > 0:
		return nil, &refusal{outcome: rateReached, why: "this client revokes too fast: wait and ask again", retry: wait}
	case m.of[id] >= maxWaitingPerClient:
		return nil, &refusal{outcome: rateReached, why: "this client has too many revocations waiting: ask again when they are answered", retry: time.Second}
	case m.waiting >= maxWaiting:
		return nil, unavailableNow("too many revocations are waiting", nil)
	}
	m.pace.take(id, now) // nobody else takes: m.mu is held
	m.of[id]++
	m.waiting++
	return func() { m.leave(id) }, nil
}

func (m *measures) leave(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting--
	if m.of[id]--; m.of[id] == 0 {
		delete(m.of, id)
	}
}
