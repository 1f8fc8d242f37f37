package revocation

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/coatcheck/coatcheck/store"
)

// followed is what a Follower knows of one shard.
type followed struct {
	number int
	seed   maphash.Seed // of the names of this shard's grants

	// Read by every request, written when a pull is applied: in this order, see Holds. applied and gaps begin at 1.
	gaps    atomic.Uint64 // how often anything may have been named: flushes, and all that was issued before a time
	applied atomic.Uint64 // how often an answer has named something
	lease   atomic.Pointer[lease]

	// Run's own.
	held bool // there has been a lease
	lost bool // there was none when this was last reported

	_ [64]byte // what misses write is on another cache line than what hits read

	mu          sync.Mutex // guards the rest, and that nothing is applied meanwhile
	at          store.Position
	incarnation string
	trouble     error // why the last pull gave no lease; nil: it gave one
	lag         int   // entries that the last answer brought
	watches     map[*Watch]struct{}
	doubtful    map[*Watch]struct{} // those of watches of whose grants nobody knows whether they live
}

func newFollowed(number int) *followed {
	s := &followed{
		number:   number,
		seed:     maphash.MakeSeed(),
		trouble:  errUnheard,
		watches:  make(map[*Watch]struct{}),
		doubtful: make(map[*Watch]struct{}),
	}
	s.gaps.Store(1)
	s.applied.Store(1)
	s.lease.Store(&lease{})
	return s
}

// Why there is no lease though no answer was an error.
var (
	errUnheard = errors.New("the log has not been read yet")
	errLate    = errors.New("the last answer came later than its lease allows, or long ago")
)

// reason says why a shard has no lease, if it has none.
func (s *followed) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		return errLate
	}
	return s.trouble
}

// standing is what operators are shown.
func (s *followed) standing() (at uint64, lag int, trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.Seq, s.lag, s.trouble
}
