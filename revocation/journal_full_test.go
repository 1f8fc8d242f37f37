package revocation

import (
	"errors"
	"fmt"
	"strings"
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
		if j.size > j.bound {
			t.Errorf("%d bytes, %d allowed", j.size, j.bound)
		}
	})
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
	file := disk.names["journal"]
	for range 10 {
		if _, err := j.Append([]Revocation{token(strings.Repeat("a", 64))}); !errors.Is(err, ErrJournal) {
			t.Fatalf("Append to a full journal: %v", err)
		}
	}
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
