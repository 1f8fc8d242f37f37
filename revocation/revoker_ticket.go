package revocation

import (
	"sync"
	"sync/atomic"
	"time"
)

// ticket is what one call of Revoke waits with: for each of its entries, and each shard that the entry concerns.
type ticket struct {
	in   chan struct{} // closed when all is in every shard
	ends atomic.Int32  // of two: the caller's, and the journal's

	mu      sync.Mutex // guards what follows
	left    int        // pairs of entry and shard that are not in yet
	gone    bool       // nobody waits any more
	first   uint64     // number of the first entry; 0: not in the journal yet
	entries int
	receipt Receipt
	until   time.Time     // when no edge uses what it knew before
	sleep   time.Duration // the longest that a shard told
}

// answer is a shard's about one entry.
type answer struct {
	at    time.Time
	sleep time.Duration
	seq   uint64
	found bool
}

func newTicket(shards int) *ticket {
	return &ticket{in: make(chan struct{}), receipt: Receipt{Seq: make([]uint64, shards)}}
}

// settle takes one pair off.
func (t *ticket) settle(shard int, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipt.Seq[shard] = max(t.receipt.Seq[shard], a.seq)
	if a.found {
		t.receipt.Found++
	}
	t.sleep = max(t.sleep, a.sleep)
	if end := a.at.Add(over(a.sleep)); end.After(t.until) {
		t.until = end
	}
	if t.left--; t.left == 0 {
		close(t.in)
	}
}

// foundOne counts a record that was found by a shard that is not open yet.
func (t *ticket) foundOne() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipt.Found++
}

// known is what is known so far.
func (t *ticket) known() (r Receipt, until time.Time, sleep time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r = t.receipt
	r.Seq = append([]uint64(nil), r.Seq...)
	return r, t.until, t.sleep
}

// expect gives the ticket its numbers and hands it to the workers, unless its caller has gone.
func (t *ticket) expect(first uint64, rs []Revocation, workers []*worker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first, t.entries = first, len(rs)
	t.receipt.Number = first + uint64(len(rs)) - 1
	if t.gone {
		return
	}
	for i, r := range rs {
		for _, w := range workers {
			if w.concerns(r) {
				t.left++
				w.expect(first+uint64(i), r, t)
			}
		}
	}
}

// leave takes it back from the workers.
func (t *ticket) leave(workers []*worker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	for i := range uint64(t.entries) {
		for _, w := range workers {
			w.forget(t.first + i)
		}
	}
}
