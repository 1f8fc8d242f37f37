package revocation

import "time"

// expect lets a ticket wait for an entry, before anybody can find the entry in the journal.
func (w *worker) expect(number uint64, t *ticket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[number] = t
}

// forget takes an entry's ticket back.
func (w *worker) forget(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, number)
}

// settle tells who waits for an entry that it is in the shard. It is in force only in one that is open.
func (w *worker) settle(number uint64, a answer, inForce bool) {
	w.mu.Lock()
	t := w.waiting[number]
	if inForce {
		delete(w.waiting, number)
	}
	w.mu.Unlock()
	switch {
	case t == nil:
	case inForce:
		t.settle(w.shard, a)
	case a.found:
		t.foundOne()
	}
}

// settleBelow settles whatever is left up to a number: entries that were brought in while the shard was closed, and
// those that name nothing alive any more, which are not brought in at all.
func (w *worker) settleBelow(number uint64) {
	w.mu.Lock()
	sleep := w.sleep
	var left []uint64
	for n := range w.waiting {
		if n <= number {
			left = append(left, n)
		}
	}
	w.mu.Unlock()
	for _, n := range left {
		w.settle(n, answer{at: time.Now(), sleep: sleep, seq: w.seq}, true)
	}
}
