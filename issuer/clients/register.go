// Package clients knows who may ask for tokens: what a client may be, how its secret is kept, and which clients there are.
//
// What it promises:
//
//   - A client in the register has been checked, whole, and never changes: a request that has found it goes on with what
//     it found.
//   - A secret is kept as a hash alone, and nothing prints, logs or marshals even that.
//   - Looking a client up takes no lock and never waits.
//   - Clients of the configuration file are there from the beginning and do not change. Others come and go at run time
//     (Configure): what one issuer changes, each other one knows within a second, or after two seconds lets none of them
//     in until it does. So two seconds after a client was disabled no issuer lets it in (change.go).
//   - The store is not trusted with them (agreement.go). Whoever writes to it cannot make a client, change one, or bring
//     one back that was deleted, not even by putting back everything at once as it was last week.
package clients

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Register is all clients. It may change while requests look into it: what is looked up is one moment's.
type Register struct {
	file  map[string]*Known // never written to
	rules Rules
	added *added // nil: there are none at run time
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
	return &Register{file: all, rules: rules}, errors.Join(faults...)
}

// Lookup finds a client, as it is now; nil when there is none of that id, or it may not be let in. Nil may be wrong
// while Sure is not nil.
func (r *Register) Lookup(id string) *Known {
	if known := r.file[id]; known != nil || r.added == nil {
		return known
	}
	return r.added.lookup(id)
}

// Sure says why a client that Lookup does not find may still be one; nil when it is none.
func (r *Register) Sure() error {
	if r.added == nil {
		return nil
	}
	return r.added.sure()
}

// Changes reports whether clients can be added at run time.
func (r *Register) Changes() bool { return r.added != nil }

// Run follows the clients that come and go at run time until ctx ends; without any, it returns at once.
func (r *Register) Run(ctx context.Context) {
	if r.added != nil {
		r.added.run(ctx)
	}
}

// All are the clients of one moment that may be let in, in the order of their ids.
func (r *Register) All() iter.Seq[*Known] {
	all := maps.Clone(r.file)
	if r.added != nil {
		for id, e := range r.added.kept.Load().roll.entries {
			if all[id] == nil && e.known != nil {
				all[id] = e.known
			}
		}
	}
	return func(yield func(*Known) bool) {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if !yield(all[id]) {
				return
			}
		}
	}
}

// LongestRefresh is how long any client's refresh tokens can be used; 0 when none has any. Those of clients that are added
// can be used no longer.
func (r *Register) LongestRefresh() (longest time.Duration) {
	for _, c := range r.file {
		longest = max(longest, c.RefreshTTL)
	}
	return longest
}

// Longest is the longest life that a client's tokens may have. Clients that are added may have no longer one.
func (r *Register) Longest() (longest time.Duration) {
	longest = r.rules.TTL
	for _, c := range r.file {
		longest = max(longest, c.TTL)
	}
	return longest
}
