package gateway

import (
	"math"
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// maxLimited bounds how many clients or addresses one limiter remembers, at about 200 bytes each. Who is forgotten
// starts with a full bucket: limits protect, they do not decide who may come in.
const maxLimited = 1 << 16

// limiter is a token bucket for each key, on this edge alone. A nil limiter allows everything.
type limiter[K comparable] struct {
	every   rate.Limit
	burst   int
	buckets *otter.Cache[K, *rate.Limiter]
}

// newLimiter allows perSecond events a second to each key, and burst at once (0: perSecond, rounded up).
// It is nil, so allows everything, unless perSecond is positive.
func newLimiter[K comparable](perSecond float64, burst int) *limiter[K] {
	if perSecond <= 0 {
		return nil
	}
	if burst == 0 {
		burst = int(min(math.Ceil(perSecond), math.MaxInt32))
	}
	return &limiter[K]{
		every:   rate.Limit(perSecond),
		burst:   burst,
		buckets: otter.Must(&otter.Options[K, *rate.Limiter]{MaximumSize: maxLimited}),
	}
}

func (l *limiter[K]) allow(key K, now time.Time) bool {
	if l == nil {
		return true
	}
	bucket, ok := l.buckets.GetIfPresent(key)
	if !ok {
		// Two requests may both come here first: SetIfAbsent gives the second the first one's bucket.
		mine := rate.NewLimiter(l.every, l.burst)
		if bucket, ok = l.buckets.SetIfAbsent(key, mine); ok {
			bucket = mine
		}
	}
	return bucket.AllowN(now, 1)
}

// network is what one party can hold of addresses: one of IPv4, a /64 of IPv6.
func network(a netip.Addr) netip.Addr {
	if !a.Is6() || a.Is4In6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
