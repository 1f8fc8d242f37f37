package revocation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// told is what a caller was told to be in the journal.
type told struct {
	last  uint64
	names []string
}

// fill appends until something fails: mostly what dies at once, so that the journal is written anew again and again.
func (a *told) fill(t *testing.T, disk disk, n int) error {
	t.Helper()
	j, err := openJournal(disk, "journal")
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }()
	j.tell(time.Now())
	for i := range n {
		j.reviewSoon()
		if i%2 == 0 {
			j.settle()
		}
		until := time.Now().Add(time.Hour)
		if i%4 != 0 {
			until = time.Now().Add(-time.Hour)
		}
		name := fmt.Sprintf("%s-%d", j.ID()[:8], len(a.names)+i)
		last, err := j.Append([]Revocation{{Kind: Token, Name: name, Until: until}})
		if err != nil {
			return err
		}
		if last <= a.last {
			t.Fatalf("Append gave number %d after %d", last, a.last)
		}
		if a.last = last; i%4 == 0 {
			a.names = append(a.names, name)
		}
	}
	return nil
}

// reviewSoon lets the next append count the dead.
func (j *Journal) reviewSoon() {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.reviewAt = 0
}

// settle waits until nobody writes the journal anew.
func (j *Journal) settle() {
	j.renewing.Lock()
	defer j.renewing.Unlock()
}

// verify opens the disk and looks for everything that was told.
func (a *told) verify(t *testing.T, disk disk) {
	t.Helper()
	j, err := openJournal(disk, "journal")
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	have := map[string]bool{}
	for _, e := range j.After(0, 1000) {
		have[e.Name] = true
	}
	for _, name := range a.names {
		if !have[name] {
			t.Fatalf("%q was fsynced, the journal has %d others", name, len(have))
		}
	}
	if j.last <= a.last {
		t.Fatalf("numbers begin after %d, %d was given", j.last, a.last)
	}
}

// TestPowerCutsAtEachStep cuts the power before each write, fsync, rename and fsync of the folder, and during writes:
// whatever was told is there afterwards, and no number comes again.
func TestPowerCutsAtEachStep(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		for cut, over := 0, false; !over; cut++ {
			disk := newFragile()
			disk.steps = cut
			var a told
			if err := a.fill(t, disk, 12); err == nil {
				over = true // the power was never cut
			} else if !errors.Is(err, errPower) {
				t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
			}
			disk = disk.restart(r)
			a.verify(t, disk)
			// A second crash, while the first is mended.
			disk.steps = r.IntN(12)
			_ = a.fill(t, disk, 6) // wherever it got to
			a.verify(t, disk.restart(r))
		}
	}
}

// TestAFailedFsyncIsFinal: the kernel forgets pages that it could not write and says yes the next time.
func TestAFailedFsyncIsFinal(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		disk := newFragile()
		var a told
		if err := a.fill(t, disk, 5); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(disk, "journal")
		if err != nil {
			t.Fatal(err)
		}
		disk.unsync = 0
		if _, err = j.Append([]Revocation{token("lost")}); !errors.Is(err, errDisk) || !errors.Is(err, ErrJournal) {
			t.Fatalf("Append over a failing fsync: %v", err)
		}
		if got := j.After(0, 100); len(got) != len(a.names) {
			t.Fatalf("After lists %d entries, %d were fsynced", len(got), len(a.names))
		}
		if _, err = j.Append([]Revocation{token("later")}); !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "restart") {
			t.Fatalf("Append after a failed fsync: %v, want ErrJournal and what to do", err)
		}
		// The process starts again over what the kernel shows it, and goes on; only then the machine crashes.
		if err := a.fill(t, disk, 5); err != nil {
			t.Fatal(err)
		}
		a.verify(t, disk.restart(r))
	}
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	t.Parallel()
	disk := newFragile()
	disk.room = 2000
	var a told
	err := a.fill(t, disk, 100)
	if !errors.Is(err, errFull) || !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "see to the disk") {
		t.Fatalf("Append on a full disk: %v, want the reason and what to do", err)
	}
	// What was written aside and did not fit was removed: it must not be what keeps the disk full.
	if _, err := openJournal(disk, "journal"); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("opened on a full disk: %v, want the reason and what to do", err)
	}
	for name := range disk.names {
		if name != "journal" {
			t.Errorf("the disk has %q left over", name)
		}
	}
	disk.room = -1
	a.verify(t, disk)
}

// TestNumbersNeverRestart also when everything has died and been dropped.
func TestNumbersNeverRestart(t *testing.T) {
	t.Parallel()
	disk := newFragile()
	last := uint64(0)
	for i := range 40 {
		j, err := openJournal(disk, "journal")
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			continue // the last one is in no entry any more
		}
		j.tell(time.Now())
		if got := j.After(0, 10); len(got) != 0 {
			t.Fatalf("the dead are still there: %v", got)
		}
		n, err := j.Append([]Revocation{{Kind: Token, Name: "dead", Until: time.Now().Add(-time.Hour)}})
		if err != nil || n <= last {
			t.Fatalf("Append gave %d, %v after %d", n, err, last)
		}
		last = n
	}
}

func token(name string) Revocation {
	return ends(Token, name, time.Now().Add(time.Hour))
}

func ends(kind Kind, name string, until time.Time) Revocation {
	return Revocation{Kind: kind, Name: name, Until: until}
}
