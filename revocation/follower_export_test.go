package revocation

import "time"

// ShiftWall puts the follower's wall clock forward by d, or back, as a suspend or an administrator does.
func (f *Follower) ShiftWall(d time.Duration) {
	f.wall = func(now time.Time) int64 { return now.Add(d).UnixNano() }
}

// Neighbour is a grant whose names share every place in the tally with those of n, and are others.
func Neighbour(n Names) Names {
	for i := range n.sums {
		n.sums[i] ^= 1
	}
	return n
}

// Watched is how many watches the follower knows of.
func (f *Follower) Watched() (n int) {
	for _, s := range f.shards {
		s.mu.Lock()
		n += len(s.watches) + len(s.doubtful)
		s.mu.Unlock()
	}
	return n
}

// Doubted is how many of them are in doubt.
func (f *Follower) Doubted() (n int) {
	for _, s := range f.shards {
		s.mu.Lock()
		n += len(s.doubtful)
		s.mu.Unlock()
	}
	return n
}

// Applied is how many answers of a shard's log have named something.
func (f *Follower) Applied(shard int) uint64 { return f.shards[shard].applied.Load() }

// Compared reports whether the next Holds need not compare the counts.
func (f *Follower) Compared(m *Mark, shard int) bool { return m.checked.Load() == f.Applied(shard) }

// Forget makes the next Holds compare the counts, as after an entry.
func (m *Mark) Forget() { m.checked.Store(0) }
