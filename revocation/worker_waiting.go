package revocation

import (
	"cmp"
	"slices"

	"github.com/coatcheck/coatcheck/store"
)

// awaited is an entry that somebody waits for.
type awaited struct {
	revocation Revocation
	ticket     *ticket
}

// expect lets a ticket wait for an entry, before anybody can find the entry in the journal.
func (w *worker) expect(number uint64, r Revocation, t *ticket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[number] = awaited{r, t}
}

// next are up to limit entries after a number, and up to where that is all. What somebody waits for is among them also if
// it names nothing alive by this host's clock: what is alive is for the store to say.
func (w *worker) next(after uint64, limit int) (batch []store.Numbered, looked uint64) {
	batch, looked = w.r.config.Journal.after(after, limit, w.concerns)
	sent := make(map[uint64]bool, len(batch))
	for _, n := range batch {
		sent[n.Number] = true
	}
	w.mu.Lock()
	for number, a := range w.waiting {
		if number > after && number <= looked && !sent[number] {
			batch = append(batch, store.Numbered{Number: number, Revocation: a.revocation})
		}
	}
	w.mu.Unlock()
	slices.SortFunc(batch, func(a, b store.Numbered) int { return cmp.Compare(a.Number, b.Number) })
	if len(batch) > limit {
		batch = batch[:limit]
	}
	return batch, looked
}

// forget takes an entry's ticket back.
func (w *worker) forget(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, number)
}

// settle tells who waits for an entry that it is in the shard. It is in force only in one that is open, and only what has
// been sent to an open one counts: the same entry comes a second time then.
func (w *worker) settle(number uint64, a answer, inForce bool) {
	w.mu.Lock()
	t := w.waiting[number].ticket
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
