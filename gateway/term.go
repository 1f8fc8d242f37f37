package gateway

import (
	"sync"
	"time"
)

// watchAfter is when a request that is still going is watched, as a stream is from its beginning: from then on it ends
// with its grant. A shorter request pays nothing for it, and is over a second after a revocation at the latest.
const watchAfter = time.Second

// publicStream is how long a stream on a public route may last; others last as long as their grant.
const publicStream = time.Hour

// term is how long a visit may last. It has one timer, for everything.
type term struct {
	mu      sync.Mutex // guards all of it: the timer runs in a goroutine of its own
	timer   *time.Timer
	due     time.Time // zero: it has no end of its own
	cause   error     // of its end when it is due
	settled bool      // it is watched, or has nothing to watch
	over    bool      // the visit has ended
}

// beginTerm bounds the visit by the request's deadline.
func (v *visit) beginTerm(within time.Duration) {
	t := &v.term
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due, t.cause = v.start.Add(within), errTooLong
	t.timer = time.AfterFunc(min(within, watchAfter), v.tick)
}

// tick ends a visit that is due; else it sees to it that the visit is watched, as soon as there is a grant.
func (v *visit) tick() {
	t := &v.term
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.due.IsZero() {
		return
	}
	left := time.Until(t.due)
	if left <= 0 {
		v.cut(t.cause)
		return
	}
	if v.watch(); !t.settled {
		left = min(left, watchAfter)
	}
	t.timer.Reset(left)
}

// stream gives an answer that is meant to outlive the request's deadline one of its own. It is called before the first
// byte of the answer goes out, by the goroutine that carries it.
func (v *visit) stream() {
	t := &v.term
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.share != nil {
		v.watch()
		t.due = time.Time{}
		t.timer.Stop()
		return
	}
	t.due, t.cause, t.settled = time.Now().Add(publicStream), cut{reasonStreamExpired}, true
	t.timer.Reset(publicStream)
}

// watch is called with the term locked.
func (v *visit) watch() {
	if v.term.settled {
		return
	}
	w := v.gate.watch()
	if w == nil {
		return
	}
	v.term.settled = true
	go func() {
		defer w.Stop()
		select {
		case <-w.Done():
			v.cut(cut{string(w.Cause())})
		case <-v.gone:
		}
	}()
}

// endTerm lets nothing begin any more; what is watched ends when the visit's context does.
func (v *visit) endTerm() {
	t := &v.term
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// cut ends a request that has outlived its decision, or its time on a public route. The reason is from a closed set.
type cut struct{ reason string }

func (c cut) Error() string { return "gateway: cut off: " + c.reason }

// cut ends the visit on both sides. An answer that has begun breaks off: what breaks it is the upstream's connection, which
// closes, and then the client's, so that no half of a body reads as a whole. A client that does not read what is on its way has
// writeWait for that. A WebSocket has no such bound, so it is closed here; without a close frame, for frames are its ends' business.
func (v *visit) cut(cause error) {
	v.cancel(cause)
	v.answer.hangUp()
}

// cutOff is what is said of a visit that was cut: to its client if the answer had not begun, else to the log alone.
func (v *visit) cutOff(c cut) *refusal {
	if v.share != nil {
		v.allowed = v.gate.open.Load() // it may have waited for a connection in vain
	}
	if c.reason == reasonLeaseLost {
		return &refusal{code: codeUndecided, reason: c.reason}
	}
	return &refusal{code: codeInvalidToken, reason: c.reason}
}
