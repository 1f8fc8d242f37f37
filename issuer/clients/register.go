// Package clients knows who may ask for tokens: what a client may be, how its secret is kept, and which clients there are.
//
// What it promises:
//
//   - A client in the register has been checked, whole, and never changes: a request that has found it goes on with what
//     it found.
//   - A secret is kept as a hash alone, and nothing prints, logs or marshals even that.
//   - Looking a client up takes no lock and never waits.
package clients

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Register is all clients. It may change while requests look into it: what is looked up is one moment's.
type Register struct {
	all atomic.Pointer[map[string]*Known] // never written to; swapped whole
}

// New checks and freezes what is configured. It says everything that is wrong, in the order of the ids.
func New(configured map[string]Client, rules Rules) (*Register, error) {
	all := make(map[string]*Known, len(configured))
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(configured)) {
		known, err := rules.Check(id, configured[id])
		if err != nil {
			faults = append(faults, fmt.Errorf("client %q: %w", id, err))
		}
		all[id] = known
	}
	r := &Register{}
	r.all.Store(&all)
	return r, errors.Join(faults...)
}

// Lookup finds a client, as it is now; nil when there is none of that id.
func (r *Register) Lookup(id string) *Known { return (*r.all.Load())[id] }

// All are the clients of one moment, in the order of their ids.
func (r *Register) All() iter.Seq[*Known] {
	all := *r.all.Load()
	return func(yield func(*Known) bool) {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if !yield(all[id]) {
				return
			}
		}
	}
}

// LongestRefresh is how long any client's refresh tokens can be used now; 0 when none has any.
func (r *Register) LongestRefresh() (longest time.Duration) {
	for _, c := range *r.all.Load() {
		longest = max(longest, c.RefreshTTL)
	}
	return longest
}

// Longest is the longest life that a client's tokens may have now; 0 when there are no clients.
func (r *Register) Longest() (longest time.Duration) {
	for _, c := range *r.all.Load() {
		longest = max(longest, c.TTL)
	}
	return longest
}
