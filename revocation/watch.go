package revocation

import (
	"hash/maphash"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Watch waits, for an open stream, for the end of its grant.
//
// What is known of a grant is either up to date with the log, for an entry that names it ends the watch; then it is
// alive at least until the lease ends. Or it is in doubt: after a gap in the log, or when the watch began with an answer
// that was not kept. Then the store is asked, see confirm. A watch outlives what is known by the follower's grace.
type Watch struct {
	f       *Follower
	shard   *followed
	jti     string
	names   Names
	expires time.Time // without a monotonic reading: a grant expires by the wall clock
	done    chan struct{}

	// Guarded by shard.mu. A watch ends when it leaves shard.watches, and only then is its done closed, or never.
	timer *time.Timer   // calls review when the watch may have to end
	since time.Duration // monotonic: while in doubt, up to when the grant is known to have been alive
	cause Cause         // set before done is closed
}

// Cause says why a watched grant ended; a closed set.
type Cause string

// The causes.
const (
	Revoked   Cause = "revoked"
	Expired   Cause = "expired"
	LeaseLost Cause = "lease_lost" // for the grace nobody has known whether it is revoked
)

// Watch begins to watch a grant. m is the mark of the answer that let the stream begin, nil if that was not kept: then,
// as after every gap in the log, the store is asked whether the record still lives.
//
// An entry that is applied between that answer and the watch is not missed: the watch is registered before the mark is
// compared, with nothing applied meanwhile. So the entry either finds the watch, or has changed what is compared.
func (f *Follower) Watch(jti string, n Names, m *Mark, expires time.Time) *Watch {
	s := f.shards[n.shard]
	w := &Watch{f: f, shard: s, jti: jti, names: n, expires: expires.Round(0), done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[w] = struct{}{}
	if m == nil || f.count(s, &n) != m.counts {
		w.since = f.moment(time.Now()).mono
		s.doubtful[w] = struct{}{}
	}
	w.timer = time.AfterFunc(f.grace, w.wake)
	w.review()
	return w
}

// Done is closed when the grant is revoked or expires, or a grace after the lease was lost.
func (w *Watch) Done() <-chan struct{} { return w.done }

// Cause is why, once Done is closed; empty before.
func (w *Watch) Cause() Cause {
	select {
	case <-w.done:
		return w.cause
	default:
		return ""
	}
}

// Stop ends the watching; it is called exactly once, whether Done was closed or not.
func (w *Watch) Stop() {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	w.leave()
}

// leave and all that follow are called with shard.mu held.
func (w *Watch) leave() {
	w.timer.Stop()
	delete(w.shard.watches, w)
	delete(w.shard.doubtful, w)
}

// cut ends a watch that is in shard.watches.
func (w *Watch) cut(c Cause) {
	w.leave()
	w.cause = c
	close(w.done)
	w.f.meters.cut(c)
}

func (w *Watch) wake() {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	if _, watched := w.shard.watches[w]; watched {
		w.review()
	}
}

// review cuts the watch if its time has come, or else wakes when it comes, should nothing new be known by then. So each
// watch needs a timer now and then, and leases can be given without a look at any watch.
func (w *Watch) review() {
	now := w.f.moment(time.Now())
	known := w.since
	if _, doubtful := w.shard.doubtful[w]; !doubtful {
		known = w.shard.lease.Load().end()
	}
	expiry := w.expires.Sub(time.Unix(0, now.wall))
	grace := known + w.f.grace - now.mono
	switch {
	case expiry <= 0:
		w.cut(Expired)
	case grace <= 0:
		w.cut(LeaseLost)
	default:
		w.timer.Reset(min(expiry, grace))
	}
}

// doubtAll begins to doubt all watched grants of s: a gap in the log may have named any. Known is what the last lease
// vouched for, which may have ended long ago.
func (f *Follower) doubtAll(s *followed) {
	since := min(f.moment(time.Now()).mono, s.lease.Load().end())
	for w := range s.watches {
		if _, already := s.doubtful[w]; already {
			continue
		}
		w.since = since
		s.doubtful[w] = struct{}{}
		w.review()
	}
}

// cutNamed ends the watches that entries name: by the whole hash, not by the place in the tally, which strangers share.
// All entries are looked up in one walk over the watches.
func (f *Follower) cutNamed(s *followed, entries []store.Entry) {
	if len(s.watches) == 0 {
		return
	}
	var named [kinds]map[uint64]struct{}
	for _, e := range entries {
		i, ok := nameOf(e.Kind)
		if !ok {
			continue
		}
		if named[i] == nil {
			named[i] = make(map[uint64]struct{})
		}
		named[i][maphash.String(s.seed, e.Name)] = struct{}{}
	}
	for w := range s.watches {
		for i, sums := range named {
			if _, ok := sums[w.names.sums[i]]; ok {
				w.cut(Revoked)
				break
			}
		}
	}
}
