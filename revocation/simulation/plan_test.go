package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// plan says which faults there are in this world. Each world has some of them only, so that each is also met alone.
type plan struct {
	restart, restore, erase, fill, flap, failover bool // of the store
	cut, pause, crash, loseDisk, lease            bool // of processes
}

func newPlan(r *rand.Rand) plan {
	some := func(p float64) bool { return chance(r, p) }
	p := plan{
		restart: some(0.4), restore: some(0.3), erase: some(0.2), fill: some(0.3), flap: some(0.3), failover: some(0.4),
		cut: some(0.5), pause: some(0.5), crash: some(0.5), loseDisk: some(0.2), lease: some(0.2),
	}
	if some(0.3) {
		p.restore, p.erase, p.failover, p.loseDisk = false, false, false, false
	}
	return p
}

// lossless is a world in which nothing is lost for good: then nobody may be logged out.
func (p plan) lossless() bool { return !p.restore && !p.erase && !p.failover && !p.loseDisk }

// strike lets the faults happen until end, and mends everything.
func (p plan) strike(w *world, end time.Duration) {
	var actors sync.WaitGroup
	actors.Go(func() { p.hitStore(w, end) })
	actors.Go(func() { w.copies(end) })
	for _, i := range w.issuers {
		actors.Go(func() { p.hitHost(w, i.host, end, i.crash, i.start) })
	}
	for _, e := range w.edges {
		actors.Go(func() { p.hitHost(w, e.host, end, func(bool) { e.process().stop() }, e.start) })
	}
	actors.Wait()
	for _, h := range w.hosts() {
		h.turn(w.now())
	}
	w.history.tell("all faults are mended")
}

// copies takes a snapshot of the master from time to time.
func (w *world) copies(end time.Duration) {
	for w.history.now() < end {
		copied := w.now().Snapshot()
		w.mu.Lock()
		w.snapshots = append(w.snapshots, copied)
		w.mu.Unlock()
		time.Sleep(between(w.dice.of("copies"), 20*time.Millisecond, 300*time.Millisecond))
	}
}

// old is one of the last n snapshots; 0: of all.
func (w *world) old(r *rand.Rand, n int) store.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := len(w.snapshots)
	if n == 0 || n > all {
		n = all
	}
	return w.snapshots[all-1-r.IntN(n)]
}

func (p plan) hitStore(w *world, end time.Duration) {
	hits := map[string]func(*world, *rand.Rand){}
	add := func(wanted bool, name string, hit func(*world, *rand.Rand)) {
		if wanted {
			hits[name] = hit
		}
	}
	add(p.restart, "restarts", func(w *world, r *rand.Rand) { w.stops(r, w.now().Restart) })
	add(p.restore, "is restored from an old copy", func(w *world, r *rand.Rand) {
		w.stops(r, func() { w.now().Restore(w.old(r, 0)) })
	})
	add(p.erase, "is emptied", func(w *world, _ *rand.Rand) { w.now().Clear() })
	add(p.fill, "is full", func(w *world, r *rand.Rand) {
		w.now().Fill(true)
		time.Sleep(between(r, lease/2, 6*lease))
		w.now().Fill(false)
	})
	add(p.flap, "is demoted, and promoted again", func(w *world, r *rand.Rand) {
		w.now().Demote()
		time.Sleep(between(r, lease/4, 4*lease))
		w.now().Promote()
	})
	add(p.failover, "is replaced by its replica", failover)
	names := []string{"restarts", "is restored from an old copy", "is emptied", "is full", "is demoted, and promoted again", "is replaced by its replica"}
	for {
		r := w.dice.of("store")
		time.Sleep(between(r, lease/2, 8*lease))
		if w.history.now() >= end || len(hits) == 0 {
			return
		}
		name := names[r.IntN(len(names))]
		if hit := hits[name]; hit != nil {
			w.history.tell("STORE: %s %s", w.now().name, name)
			hit(w, r)
			w.struck()
			w.history.tell("STORE: %s goes on", w.now().name)
		}
	}
}

// stops takes the store down, does something to it, and starts it again.
func (w *world) stops(r *rand.Rand, do func()) {
	s := w.now()
	s.down.close()
	time.Sleep(between(r, 5*time.Millisecond, 2*lease))
	do()
	s.down.open()
}

// failover makes a master of a replica that lags. The old master is demoted; everybody notices in his own time.
func failover(w *world, r *rand.Rand) {
	old := w.now()
	next := &server{Memory: store.NewShardedMemory(w.shards), name: fmt.Sprintf("redis-%d", w.history.now()/time.Millisecond)}
	next.Restore(w.old(r, 1+r.IntN(12)))
	old.Demote()
	w.mu.Lock()
	w.master = next
	w.mu.Unlock()
	var turning sync.WaitGroup
	for _, h := range w.hosts() {
		late := between(r, time.Millisecond, 20*time.Millisecond)
		if chance(r, 0.4) {
			late = between(r, time.Millisecond, 4*lease)
		}
		turning.Go(func() {
			time.Sleep(late)
			h.turn(next)
		})
	}
	turning.Wait()
}

// struck notes that a disaster is over.
func (w *world) struck() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disaster = w.history.now()
}

// hitHost cuts off, pauses and crashes one process.
func (p plan) hitHost(w *world, h *host, end time.Duration, crash func(lost bool), start func()) {
	for {
		r := w.dice.of(h.name + " fate")
		time.Sleep(between(r, lease/2, 10*lease))
		if w.history.now() >= end {
			return
		}
		length := between(r, time.Millisecond, 7*lease)
		switch n := r.IntN(3); {
		case n == 0 && p.cut:
			w.history.tell("HOST: %s is cut off", h.name)
			h.cut.close()
			time.Sleep(length)
			h.cut.open()
			w.history.tell("HOST: %s is connected again", h.name)
		case n == 1 && p.pause:
			w.history.tell("HOST: %s is paused", h.name)
			h.paused.close()
			time.Sleep(length)
			h.paused.open()
			w.history.tell("HOST: %s goes on", h.name)
		case n == 2 && p.crash:
			lost := p.loseDisk && chance(r, 0.4)
			w.history.tell("HOST: %s crashes", h.name)
			crash(lost)
			if lost {
				w.struck()
			}
			if p.lease && chance(r, 0.5) {
				w.lease.Store(int64(lease) / 2 * int64(1+r.IntN(4)))
			}
			time.Sleep(length)
			start()
			w.history.tell("HOST: %s starts", h.name)
		}
	}
}
