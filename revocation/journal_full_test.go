package revocation

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFullJournalTakesMoreWhenSomethingDies, by itself, and Ready says meanwhile that it is full and what to do.
func TestAFullJournalTakesMoreWhenSomethingDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := reopened(t, newFragile())
		j.bound = 1 << 20
		j.tell(time.Now())
		until := time.Now().Add(time.Hour)
		early := fill(t, j, 40, until)
		late := fill(t, j, 1000, until.Add(24*time.Hour))
		if _, _, err := j.state(); !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "rather than its tokens one by one") {
			t.Errorf("the state of a journal that is full: %v, want ErrJournal and what to do", err)
		}
		if got := len(j.After(0, 1e6)); got != early+late {
			t.Errorf("After lists %d of %d that were taken", got, early+late)
		}

		time.Sleep(time.Until(until) + afterlife) // without being told anything more
		if _, _, err := j.state(); err != nil {
			t.Errorf("the state when %d of %d have died: %v", early, early+late, err)
		}
		more := fill(t, j, 1000, until.Add(24*time.Hour))
		if got := len(j.After(0, 1e6)); more < early/2 || got != late+more {
			t.Errorf("of %d entries %d died, %d more were taken, and After lists %d", early+late, early, more, got)
		}
		j.settle()
		if j.size > j.bound {
			t.Errorf("%d bytes, %d allowed", j.size, j.bound)
		}
	})
}

// TestAJournalNearItsBoundIsWrittenAnewBefore it is full, although less than half of it is dead: nobody waits for that.
func TestAJournalNearItsBoundIsWrittenAnewBefore(t *testing.T) {
	t.Parallel()
	j := reopened(t, newFragile())
	j.bound = 1 << 20
	j.tell(time.Now())
	fill(t, j, 60, time.Now().Add(time.Hour))
	fill(t, j, 40, time.Now().Add(-time.Hour))
	fill(t, j, 70, time.Now().Add(time.Hour))
	j.settle()
	if size, _, _ := j.state(); size > j.bound/8*7 {
		t.Errorf("%d bytes of %d, with 4,000 dead entries in them", size, j.bound)
	}
}

// TestAFullJournalIsNotWrittenAnewForNothing: each write at the bound would else wait for that.
func TestAFullJournalIsNotWrittenAnewForNothing(t *testing.T) {
	t.Parallel()
	disk := newFragile()
	j := reopened(t, disk)
	j.bound = 1 << 20
	j.tell(time.Now())
	fill(t, j, 10, time.Now().Add(-time.Hour))
	fill(t, j, 1000, time.Now().Add(time.Hour))
	j.settle()
	file := disk.names["journal"]
	for range 10 {
		if _, err := j.Append([]Revocation{token(strings.Repeat("a", 64))}); !errors.Is(err, ErrJournal) {
			t.Fatalf("Append to a full journal: %v", err)
		}
	}
	j.settle()
	if disk.names["journal"] != file {
		t.Error("it was written anew, and is as full as before")
	}
}

// fill appends groups of a hundred, then single ones, until the journal takes no more of them, and says how many it took.
func fill(t *testing.T, j *Journal, groups int, until time.Time) (taken int) {
	t.Helper()
	for _, size := range []int{100, 1} {
		for range groups {
			rs := make([]Revocation, size)
			for i := range rs {
				rs[i] = ends(Token, fmt.Sprintf("%032x", taken+i), until)
			}
			_, err := j.Append(rs)
			if err != nil && !errors.Is(err, errBound) {
				t.Fatal(err)
			}
			if err != nil {
				break
			}
			taken += size
		}
	}
	return taken
}

// TestAppendsGoOnWhileTheJournalIsWrittenAnew: a file of 64 MiB takes its time, and revocations do not wait for that. What
// they append meanwhile is in the new file, too.
func TestAppendsGoOnWhileTheJournalIsWrittenAnew(t *testing.T) {
	t.Parallel()
	disk := &heldUp{fragile: newFragile(), reached: make(chan struct{}), on: make(chan struct{})}
	j := reopened(t, disk)
	add(t, j, token("before"), ends(Token, "dead", time.Now().Add(-time.Hour)))
	j.tell(time.Now())
	disk.hold = true
	over := make(chan error)
	go func() {
		j.renewing.Lock()
		defer j.renewing.Unlock()
		over <- j.renew()
	}()
	<-disk.reached
	last := add(t, j, token("meanwhile"))
	close(disk.on)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if next := add(t, j, token("after")); next != last+1 {
		t.Errorf("number %d after %d", next, last)
	}
	for when, j := range map[string]*Journal{"written anew": j, "opened again": reopened(t, disk.fragile)} {
		if got := names(j.After(0, 10)); got != "before meanwhile after" {
			t.Errorf("%s: After lists %q", when, got)
		}
	}
}

// heldUp is a disk on which the next file that is made is fsynced only when somebody lets it.
type heldUp struct {
	*fragile
	hold        bool
	reached, on chan struct{}
}

func (d *heldUp) create(name string) (medium, error) {
	m, err := d.fragile.create(name)
	if d.hold {
		d.hold = false
		return &slowMedium{medium: m, disk: d}, err
	}
	return m, err
}

type slowMedium struct {
	medium
	disk *heldUp
	once sync.Once
}

func (m *slowMedium) Sync() error {
	m.once.Do(func() {
		close(m.disk.reached)
		<-m.disk.on
	})
	return m.medium.Sync()
}
