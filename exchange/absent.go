package exchange

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// absentLife is how long a definite "no such record" is believed without asking again.
const absentLife = time.Second

// absent remembers references that the store said it does not know, so that a client that repeats a dead one costs
// one question a second. It is a table of its own, of fixed size: a flood of them displaces other absent ones and
// never a good entry. Each reference has one place, which the last one takes.
//
// It needs no lease: it can only refuse, and what is absent does not come back. A reference goes out after its record
// is in, so nobody asks too early; and only an open shard says "no such record", never one that cannot know.
type absent [4096]atomic.Pointer[absence]

type absence struct {
	key   cacheKey
	until time.Duration
}

func (a *absent) remember(key cacheKey, until time.Duration) {
	a.place(key).Store(&absence{key, until})
}

func (a *absent) holds(key cacheKey, now time.Duration) bool {
	p := a.place(key).Load()
	return p != nil && p.key == key && now < p.until
}

func (a *absent) place(key cacheKey) *atomic.Pointer[absence] {
	return &a[binary.BigEndian.Uint16(key[:])%uint16(len(a))]
}
