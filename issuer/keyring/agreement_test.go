package keyring

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
)

// onOneStore are issuers that share a store which can lose its data. Nobody runs them: tests say who looks when.
func onOneStore(t *testing.T, count int, changes ...func(*Config)) (*faulty, []*kit) {
	t.Helper()
	f := &faulty{StateStore: store.NewMemory()}
	var all []*kit
	for range count {
		all = append(all, f.join(t, changes...))
	}
	return f, all
}

// join is one more issuer on the store, as if it had just been started.
func (f *faulty) join(t *testing.T, changes ...func(*Config)) *kit {
	t.Helper()
	return buildKit(t, f, changes...)
}

// held is what the store holds now.
func (f *faulty) held(t *testing.T, keys *sealing.Keys) (*Ring, uint64) {
	t.Helper()
	version, blob, err := f.State(t.Context(), ringName)
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRing(keys, version, blob)
	if err != nil {
		t.Fatalf("the store holds under version %d what does not open: %v", version, err)
	}
	return r, version
}

// put writes a ring into the store, as who has both store and encryption key could.
func (f *faulty) put(t *testing.T, keys *sealing.Keys, r *Ring) {
	t.Helper()
	version, _, err := f.State(t.Context(), ringName)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := r.seal(keys, version+1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SwapState(t.Context(), ringName, version, blob); err != nil {
		t.Fatal(err)
	}
}

func TestLostRingIsWrittenBack(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			f, all := onOneStore(t, count)
			for _, k := range all {
				k.start(t)
			}
			time.Sleep(2 * followEvery)
			before := all[0].kept.Load().ring
			f.lose()
			time.Sleep(2 * ringLease)
			wrote := 0
			for n, k := range all {
				if got := k.kept.Load().ring; got.generation != before.generation || !got.sameBeginning(before) || !got.sameKeys(before) {
					t.Errorf("issuer %d of %d holds another ring than before the loss", n, count)
				}
				k.token(t)
				wrote += strings.Count(k.log.String(), "written back")
			}
			if wrote != 1 {
				t.Errorf("%d issuers: the ring was written back %d times, want once", count, wrote)
			}
			if r, version := f.held(t, all[0].sealing); version != 1 || !r.sameKeys(before) {
				t.Errorf("the store holds version %d, want 1 with the keys of before", version)
			}
		})
	}
}

func TestLossAfterMoreThanALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all := onOneStore(t, 1)
		k := all[0]
		k.start(t)
		time.Sleep(followEvery)
		before := k.activeKey(t)
		f.set(true, nil)
		time.Sleep(3 * ringLease)
		if ready(k) == nil {
			t.Error("signs by a ring that was not confirmed for three leases")
		}
		f.lose()
		f.set(false, nil)
		time.Sleep(2 * followEvery)
		if k.token(t); k.activeKey(t) != before {
			t.Error("another key signs than before the loss")
		}
	})
}

// Issuer 0 turns the ring, the store loses it, and issuer 1, which has not heard of the turn, writes the earlier one
// back. Issuer 2, for which it is time to turn as well, must not make a second ring of that generation.
func TestLossInTheMiddleOfARotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all := onOneStore(t, 3, hourly)
		for _, k := range all {
			k.look(t)
		}
		time.Sleep(time.Hour)
		all[0].look(t)
		turned := all[0].kept.Load().ring
		f.lose()
		for _, n := range []int{1, 2, 0, 1, 2} {
			all[n].look(t)
		}
		for n, k := range all {
			if got := k.kept.Load().ring; got.generation != 2 || !got.sameKeys(turned) {
				t.Errorf("issuer %d holds generation %d, want issuer 0's generation 2", n, got.generation)
			}
		}
		time.Sleep(time.Hour)
		all[2].look(t)
		if r, version := f.held(t, all[0].sealing); r.generation != 3 || version != 3 {
			t.Errorf("an hour later the store holds generation %d, version %d, want 3 and 3: rotation goes on", r.generation, version)
		}
	})
}

// A ring of before is put back into a store that has lost its data: as a backup does, or somebody who wants an old
// key to sign again. Who holds the later one uses nothing of it, and who was started on it meanwhile follows.
func TestOldRingPutBackAfterALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all := onOneStore(t, 1, hourly)
		k := all[0]
		k.look(t)
		_, old, err := f.State(t.Context(), ringName)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		k.look(t)
		before := k.kept.Load().ring
		f.lose()
		if err := f.SwapState(t.Context(), ringName, 0, old); err != nil {
			t.Fatal(err)
		}
		fresh := f.join(t)
		fresh.look(t)
		k.look(t)
		if r, version := f.held(t, k.sealing); version != 2 || !r.sameKeys(before) {
			t.Errorf("the store holds generation %d under version %d, want the ring of before over the old one, under 2", r.generation, version)
		}
		fresh.look(t)
		for name, k := range map[string]*kit{"the running issuer": k, "the one that was started on the old ring": fresh} {
			if got := k.kept.Load().ring; got.generation != 2 || !got.sameKeys(before) {
				t.Errorf("%s holds generation %d, want 2 with the keys of before", name, got.generation)
			}
		}
	})
}

// An issuer that is started on the emptied store before a running one has looked begins anew. The running one does
// not take that ring, of whatever generation, and does not write over it: it says what happened, and stops in a minute.
func TestRingBegunAnewAfterALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all := onOneStore(t, 1)
		k := all[0]
		k.start(t)
		time.Sleep(followEvery)
		signs := k.activeKey(t)
		f.lose()
		fresh := f.join(t)
		fresh.look(t)
		time.Sleep(2 * followEvery)
		if got := k.activeKey(t); got != signs {
			t.Errorf("signs with %s, want %s as before", got, signs)
		}
		time.Sleep(ringLease)
		if err := ready(k); err == nil || !strings.Contains(err.Error(), "began anew") || !strings.Contains(err.Error(), "restart") {
			t.Errorf("Ready() = %v, want what happened and the mend", err)
		}
		if n := strings.Count(k.log.String(), "began anew"); n != 1 {
			t.Errorf("%d lines of the log say what happened, want 1:\n%s", n, k.log)
		}
		later, _ := fresh.kept.Load().ring.turned(time.Now().Add(2*time.Hour), es256(time.Minute, time.Hour))
		f.put(t, k.sealing, later)
		if err := k.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "another beginning") {
			t.Errorf("a later generation of another beginning: %v, want it refused", err)
		}
		if r, version := f.held(t, k.sealing); version != 2 || !r.sameKeys(later) {
			t.Errorf("the store holds version %d: the ring of the other issuer was written over", version)
		}
		restarted := f.join(t)
		restarted.look(t)
		fresh.look(t)
		if a, b := restarted.activeKey(t), fresh.activeKey(t); a != b {
			t.Errorf("after the mend one signs with %s, the other with %s", a, b)
		}
	})
}

func TestTwoRingsOfOneGenerationAreNotMixed(t *testing.T) {
	t.Parallel()
	f, all := onOneStore(t, 1)
	k := all[0]
	k.look(t)
	first := k.kept.Load().ring
	turn := func() *Ring {
		r, _ := first.turned(time.Now().Add(2*time.Hour), es256(time.Minute, time.Hour))
		return r
	}
	f.put(t, k.sealing, turn())
	k.look(t)
	signs := k.kept.Load().ring
	f.put(t, k.sealing, turn())
	if err := k.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "restart this issuer") {
		t.Errorf("another ring of generation 2: %v, want it refused, with the mend", err)
	}
	if got := k.kept.Load().ring; got != signs {
		t.Error("the other ring was taken")
	}
	if _, version := f.held(t, k.sealing); version != 3 {
		t.Errorf("the store has version %d, want 3: nothing written over it", version)
	}
}

// A key retires by the longest life that its ring knows. While a ring that was written back is quiet it cannot learn
// of a longer one, so an issuer that was started with one waits.
func TestLongerLifeWaitsWhileTheRingIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all := onOneStore(t, 1)
		all[0].look(t)
		f.lose()
		all[0].look(t)
		longer := f.join(t, func(c *Config) { c.Life = 2 * time.Hour })
		if err := longer.Look(t.Context()); err == nil || ready(longer) == nil {
			t.Errorf("look: %v, Ready: %v; want tokens of 2h to wait", err, ready(longer))
		}
		time.Sleep(ringLease)
		longer.look(t)
		if r, _ := f.held(t, longer.sealing); r.life != 2*time.Hour {
			t.Errorf("the ring knows lives of up to %v, want 2h", r.life)
		}
	})
}

// Who can write to the store can stop a running issuer from confirming its ring; he cannot make it take another.
func TestWhatAWriterOfTheStorePutsThereIsRefused(t *testing.T) {
	t.Parallel()
	f, all := onOneStore(t, 1, hourly)
	k := all[0]
	k.look(t)
	oldVersion, oldBlob, _ := f.State(t.Context(), ringName)
	first := k.kept.Load().ring
	forced, _ := first.turned(time.Now().Add(2*time.Hour), es256(time.Minute, time.Hour))
	f.put(t, k.sealing, forced)
	k.look(t)
	signs := k.activeKey(t)
	version, blob, _ := f.State(t.Context(), ringName)
	another := firstRing(t, time.Now(), es256(time.Minute, 0))
	another.generation = forced.generation
	sameGeneration, err := another.seal(k.sealing, version)
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]func() (uint64, []byte){
		"last week's ring":                  func() (uint64, []byte) { return oldVersion, oldBlob },
		"last week's under today's version": func() (uint64, []byte) { return version, oldBlob },
		"last week's under a new version":   func() (uint64, []byte) { return version + 1, oldBlob },
		"today's under a new version":       func() (uint64, []byte) { return version + 1, blob },
		"another ring of today's version":   func() (uint64, []byte) { return version, sameGeneration },
		"nothing":                           func() (uint64, []byte) { return 0, nil },
		"an empty blob":                     func() (uint64, []byte) { return version + 1, nil },
		"noise":                             func() (uint64, []byte) { return version + 1, bytes.Repeat([]byte{1}, 100) },
	} {
		f.set(false, state)
		if err := k.Look(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if got := k.activeKey(t); got != signs {
			t.Errorf("%s: signs with %s now, want %s as before", name, got, signs)
		}
	}
	f.set(false, nil)
	if now, _, _ := f.State(t.Context(), ringName); now != version {
		t.Errorf("the store has version %d now: something was written", now)
	}
	k.look(t)
}
