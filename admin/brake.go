package admin

import (
	"maps"
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
	tellEvery    = time.Second     // an address beyond its measure gets a line in the log
)

// brake counts wrong tokens by address.
type brake struct {
	mu sync.Mutex // guards by and what is in it
	by map[netip.Addr]*tally
}

// tally is what is kept for an address.
type tally struct {
	free   time.Time // when it has its whole burst again; each wrong token moves it on by wrongEvery (GCRA: a bucket in one number)
	told   time.Time // when a call beyond the measure had a line of its own
	untold int       // calls since then that had none
}

func newBrake() *brake { return &brake{by: map[netip.Addr]*tally{}} }

// verdict is what becomes of a wrong token.
type verdict struct {
	wait   time.Duration // 0: it is within the measure of its address
	silent bool          // it gets no line in the log: the next that does tells of it
	untold int           // calls before it that got none
}

// wrong counts one.
func (b *brake) wrong(from netip.Addr, now time.Time) verdict {
	if from.Is6() {
		from = netip.PrefixFrom(from, 64).Masked().Addr()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.by[from]; !known && len(b.by) >= maxAddresses && !b.forget(now) {
		from = netip.Addr{}
	}
	t := b.by[from]
	if t == nil {
		t = &tally{}
		b.by[from] = t
	}
	return t.wrong(now)
}

func (t *tally) wrong(now time.Time) verdict {
	if t.free.Before(now) {
		t.free = now
	}
	v := verdict{wait: max(0, t.free.Add(wrongEvery).Sub(now)-wrongBurst*wrongEvery)}
	switch {
	case v.wait == 0:
		t.free = t.free.Add(wrongEvery)
	case now.Sub(t.told) < tellEvery:
		t.untold++
		return verdict{wait: v.wait, silent: true}
	default:
		t.told = now
	}
	v.untold, t.untold = t.untold, 0
	return v
}

// forget drops the addresses that have their whole burst again, and reports whether there were any.
func (b *brake) forget(now time.Time) bool {
	before := len(b.by)
	maps.DeleteFunc(b.by, func(_ netip.Addr, t *tally) bool { return !t.free.After(now) })
	return len(b.by) < before
}
