package revocation

import "time"

// longestLease caps what the store says, in case it says nonsense. A shorter lease than the store's is always safe.
const longestLease = time.Minute

// moment is a point in time on both clocks of this host.
type moment struct {
	mono time.Duration // since the follower was made; it stands still while the machine is suspended
	wall int64         // Unix nanoseconds; it may be set forward and back
}

// lease is the right to use what is kept from a shard. It is immutable.
type lease struct {
	sent moment // when the pull that gave it was sent: its answer may be as old as that, and no older
	runs time.Duration
}

// left is how long the lease still runs. Either clock can end it: the monotonic one, which nobody can set, and the wall
// clock, which went on during a suspend. A wall clock that was set back past the lease's beginning ends it too, for it
// would not notice the next suspend. now may be a little before sent: a request that was overtaken by a pull.
func (l *lease) left(now moment) time.Duration {
	wall := time.Duration(now.wall - l.sent.wall)
	if wall < -l.runs {
		return 0
	}
	return l.runs - max(now.mono-l.sent.mono, wall)
}

// end is the monotonic time at which the lease is over.
func (l *lease) end() time.Duration { return l.sent.mono + l.runs }
