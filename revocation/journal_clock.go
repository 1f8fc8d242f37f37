package revocation

import "time"

// storeClock is the time by the store's clock, as far as it was told. What ends a token is that clock and those of the
// edges; the wall clock of this host may be hours off, or step, and what was dropped by it would be missing for ever.
type storeClock struct {
	begun time.Time // for its monotonic reading
	told  bool
	// The store's time without what has passed since begun: the lowest told in this minute, and in the one before. Shards
	// have clocks of their own, and what is dropped is dropped for all of them: the slowest decides.
	lowest, before time.Duration
	turned         time.Duration // after begun: when the minute began
}

// tell takes notice of what a shard says the time is.
func (c *storeClock) tell(storeTime time.Time) {
	if storeTime.Unix() <= 0 {
		return // no answer
	}
	since := time.Since(c.begun)
	offset := storeTime.Sub(c.begun) - since
	switch {
	case !c.told:
		c.told, c.lowest, c.before, c.turned = true, offset, offset, since
	case since-c.turned > afterlife:
		c.lowest, c.before, c.turned = offset, c.lowest, since
	default:
		c.lowest = min(c.lowest, offset)
	}
}

// now is what was told and what has passed since by the monotonic clock. The zero time, by which nothing has died, when
// nothing was told.
func (c *storeClock) now() time.Time {
	if !c.told {
		return time.Time{}
	}
	return c.begun.Add(time.Since(c.begun) + min(c.lowest, c.before))
}

// tell is called with the store's time whenever a shard is looked at. Before the first time nothing is taken for dead.
func (j *Journal) tell(storeTime time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.clock.tell(storeTime)
}
