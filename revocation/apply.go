package revocation

import (
	"errors"
	"hash/maphash"

	"github.com/coatcheck/coatcheck/store"
)

// Why an answer gave no lease, beside its own error.
var (
	errBehind = errors.New("the log has more than one page to be read")
	errTorn   = errors.New("the store's answer does not follow from the last one; everything is read anew")
)

// apply takes in one shard's answer: what it names is dropped, then the shard has a lease, counted from sent. Its error
// says why there is none.
func (f *Follower) apply(s *followed, sent moment, a store.Pulled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = f.advance(s, a)
	if s.trouble == nil {
		s.lease.Store(&lease{sent, min(a.Lease, longestLease)})
	}
	return s.trouble
}

func (f *Follower) advance(s *followed, a store.Pulled) error {
	switch {
	case a.Err != nil:
		return a.Err
	case !follows(s.at, a):
		f.flush(s, nil)
		// From nowhere, the store says what there is. Until then no answer may be kept: nobody knows what it has missed.
		s.at, s.incarnation = store.Position{}, ""
		return errTorn
	case a.Flush:
		f.flush(s, a.Keys)
	default:
		f.enter(s, a.Entries)
	}
	s.lag = len(a.Entries)
	s.at, s.incarnation = a.At, a.Incarnation
	if a.More {
		return errBehind
	}
	return nil
}

// follows reports whether an answer begins where the question was asked from, leaves nothing out, and gets on if it
// says that there is more.
func follows(at store.Position, a store.Pulled) bool {
	if a.Flush {
		return len(a.Entries) == 0 && !a.More
	}
	for _, e := range a.Entries {
		if e.Seq != at.Seq+1 {
			return false
		}
		at = e.Position
	}
	return at == a.At && (len(a.Entries) > 0 || !a.More)
}

// flush forgets everything that was kept from s.
func (f *Follower) flush(s *followed, keys []string) {
	for _, kid := range keys {
		f.keys.Store(kid, struct{}{})
	}
	s.gaps.Add(1)
	s.applied.Add(1)
	f.doubtAll(s)
}

// enter takes in what the log says. A key is known to be revoked before anything that it signed is dropped, so that
// nobody fills it in again.
func (f *Follower) enter(s *followed, entries []store.Entry) {
	if len(entries) == 0 {
		return
	}
	gap := false
	for _, e := range entries {
		if e.Kind == store.KindKey {
			f.keys.Store(e.Name, struct{}{})
		}
		if i, ok := nameOf(e.Kind); ok {
			f.tally.at(i, maphash.String(s.seed, e.Name)).Add(1)
		} else {
			s.gaps.Add(1)
			gap = true
		}
	}
	s.applied.Add(1)
	f.cutNamed(s, entries)
	if gap {
		f.doubtAll(s)
	}
}
