package issuer

import (
	"sync"
	"time"
)

// maxPaced bounds how many keys one pace remembers, at some 100 bytes each. Who is forgotten has its whole burst again:
// paces protect this process, they do not decide who may come in.
const maxPaced = 1 << 16

// pace holds each key to a rate: a token bucket in one number, the moment at which it has its whole burst again (GCRA). It
// is kept in this process alone: what it protects, the time and memory of this process and what waits in it, is not worth a
// round trip to the store. A nil pace holds nobody.
type pace[K comparable] struct {
	every time.Duration // one more, each
	burst time.Duration // what may be used at once, in the same unit

	mu   sync.Mutex // guards free
	free map[K]time.Time
}

// newPace lets each key do perSecond things a second, and burst at once; nil when perSecond is 0.
func newPace[K comparable](perSecond float64, burst int) *pace[K] {
	if perSecond <= 0 {
		return nil
	}
	every := time.Duration(float64(time.Second) / perSecond)
	return &pace[K]{every: every, burst: every * time.Duration(max(burst, 1)), free: map[K]time.Time{}}
}

// wait is how long until one more thing may be done; 0: now.
func (p *pace[K]) wait(key K, now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wait, _ := p.next(key, now)
	return wait
}

// take does one more thing, if that may be done now; else it takes nothing, and says how long until then.
func (p *pace[K]) take(key K, now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wait, free := p.next(key, now)
	if wait > 0 {
		return wait
	}
	p.makeRoom(key, now)
	p.free[key] = free
	return 0
}

// next is how long to wait for one more, and when the burst is whole again after it. p.mu is held.
func (p *pace[K]) next(key K, now time.Time) (wait time.Duration, free time.Time) {
	free = p.free[key]
	if free.Before(now) {
		free = now
	}
	free = free.Add(p.every)
	return max(0, free.Sub(now)-p.burst), free
}

// makeRoom forgets, in a few steps, who has his whole burst again; and when all is taken, anybody. A map is walked from
// anywhere, so everybody has his turn. p.mu is held.
func (p *pace[K]) makeRoom(newcomer K, now time.Time) {
	if _, known := p.free[newcomer]; known {
		return
	}
	steps := 0
	for key, free := range p.free {
		if !free.After(now) || len(p.free) >= maxPaced {
			delete(p.free, key)
		}
		if steps++; steps == 4 {
			return
		}
	}
}
