package admin

import (
	"net/netip"
	"sync"
	"time"
)

// What one address may get wrong. The numbers protect logs and cores, not the secrets: those have 128 bits or more, and
// nobody guesses them at any rate. So a right token always passes, also from an address that is over its measure.
// Otherwise whoever can reach the listener, which is any process where it listens on loopback, could keep the operator
// from revoking.
const (
	wrongBurst   = 10
	wrongEvery   = 6 * time.Second // one more, each
	maxAddresses = 1024            // remembered at a time; more share one measure
)

// brake counts wrong tokens by address.
type brake struct {
	mu   sync.Mutex // guards free
	free map[netip.Addr]time.Time
}

// The time kept for an address is the moment at which it has its whole burst again; each wrong token moves it on by
// wrongEvery (GCRA: a token bucket in one number).

func newBrake() *brake { return &brake{free: map[netip.Addr]time.Time{}} }

// wrong counts one, and says how long the address has to wait; 0: it is within its measure.
func (b *brake) wrong(from netip.Addr, now time.Time) time.Duration {
	if from.Is6() {
		from = netip.PrefixFrom(from, 64).Masked().Addr()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.free[from]; !known && len(b.free) >= maxAddresses && !b.forget(now) {
		from = netip.Addr{}
	}
	free := b.free[from]
	if free.Before(now) {
		free = now
	}
	if wait := free.Add(wrongEvery).Sub(now) - wrongBurst*wrongEvery; wait > 0 {
		return wait
	}
	b.free[from] = free.Add(wrongEvery)
	return 0
}

// forget drops the addresses that have their whole burst again, and reports whether there were any.
func (b *brake) forget(now time.Time) bool {
	before := len(b.free)
	for from, free := range b.free {
		if !free.After(now) {
			delete(b.free, from)
		}
	}
	return len(b.free) < before
}
