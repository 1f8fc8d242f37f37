package exchange

import (
	"fmt"
	"sync/atomic"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/maypok86/otter/v2"
)

// cacheKey is HMAC-SHA256 of a reference under a key of this process: a heap dump names no reference, and nobody
// outside can choose keys that collide.
type cacheKey [32]byte

// entry is one answer of the store, verified: a grant, and the mark by which the revocation log knows it. A new answer
// makes a new entry around the same grant.
type entry struct {
	grant *Grant
	mark  revocation.Mark // set by Follower.Keep, before anyone else sees the entry
}

// entryCost is what an entry costs beside the text and the shares of its grant: the two structs, the node and the
// slot of the cache.
const entryCost = 360

// cache keeps entries, bounded in bytes. It has no clock and hears of no revocation: an entry that may not be used now
// stays, so that an equal answer of the store need not be verified again, and an expired one is refused without asking.
// Whether an entry may be used is asked of the revocation log each time. What is not used at all is evicted.
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

// put keeps e. Two answers for one reference may come in either order: if the later one is lost, a revocation that it
// knew has broken the mark of the earlier, or will, and the store is asked once more.
func (c *cache) put(key cacheKey, e *entry) { c.entries.Set(key, e) }

func (c *cache) remove(key cacheKey) { c.entries.Invalidate(key) }
