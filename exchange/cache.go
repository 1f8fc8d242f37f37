package exchange

import (
	"fmt"
	"sync/atomic"
	"time"
	"unique"

	"github.com/maypok86/otter/v2"
)

// cacheKey is HMAC-SHA256 of a reference under a key of this process: a heap dump names no reference, and nobody
// outside can choose keys that collide.
type cacheKey [32]byte

// entry is one answer of the store, verified: a grant, and what bounds the use of the answer. Entries are immutable;
// a new answer makes a new entry around the same grant.
type entry struct {
	grant *Grant
	until time.Duration // end of the lease, on the clock of Exchange.clock
	// drops is the count at mark when the store was about to be asked.
	drops uint64
	mark  *atomic.Uint64
	// seq and incarnation are the position of the shard when it answered.
	seq         uint64
	incarnation unique.Handle[string]
}

// entryCost is what an entry costs beside the text and the shares of its grant: the two structs, the node and the
// slot of the cache.
const entryCost = 320

// fresh reports whether the answer may still be used: within its lease, and not dropped since before it was asked for.
func (e *entry) fresh(now time.Duration) bool {
	return now < e.until && e.mark.Load() == e.drops
}

// older reports whether an answer is known to be from before another one for the same reference.
func (e *entry) older(than *entry) bool {
	return e.drops < than.drops || e.incarnation == than.incarnation && e.seq < than.seq
}

// cache keeps entries, bounded in bytes. It has no clock: an entry past its lease stays, so that an equal answer of
// the store need not be verified again, and an expired one is refused without asking; what is not used is evicted.
type cache struct {
	entries *otter.Cache[cacheKey, *entry]
	evicted atomic.Int64
}

func newCache(size int64) (*cache, error) {
	c := new(cache)
	entries, err := otter.New(&otter.Options[cacheKey, *entry]{
		MaximumWeight: uint64(size),
		Weigher:       func(_ cacheKey, e *entry) uint32 { return e.grant.weight },
		OnAtomicDeletion: func(e otter.DeletionEvent[cacheKey, *entry]) {
			if e.WasEvicted() {
				c.evicted.Add(1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("exchange: cache: %w", err)
	}
	c.entries = entries
	return c, nil
}

// get returns the entry under key, or nil.
func (c *cache) get(key cacheKey) *entry {
	e, _ := c.entries.GetIfPresent(key)
	return e
}

// put keeps e, unless what is there came from a later answer.
func (c *cache) put(key cacheKey, e *entry) {
	c.entries.Compute(key, func(old *entry, found bool) (*entry, otter.ComputeOp) {
		if found && e.older(old) {
			return old, otter.CancelOp
		}
		return e, otter.WriteOp
	})
}

func (c *cache) remove(key cacheKey) { c.entries.Invalidate(key) }
