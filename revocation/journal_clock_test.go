package revocation

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTheStoresClockSaysWhatIsDead, never the wall clock of the issuer: what is dropped by that is missing for ever, and
// the journal would still vouch for the shard.
func TestTheStoresClockSaysWhatIsDead(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"right": 0, "hours ahead": 3 * time.Hour, "hours behind": -3 * time.Hour, "years behind": -1e5 * time.Hour} {
		t.Run("the issuer's clock is "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				disk := newFragile()
				storeNow := func() time.Time { return time.Now().Add(-off) }
				until := storeNow().Add(time.Hour)
				j := reopened(t, disk)
				add(t, j, ends(Token, "a", until), ends(Key, "k", until))
				lists(t, "nothing was told", j, "a k")

				j = reopened(t, disk)
				time.Sleep(48 * time.Hour)
				lists(t, "nothing was told since it was opened, for two days", j, "a k")
				j.tell(time.Time{})
				lists(t, "told nothing", j, "a k")

				j.tell(until.Add(-time.Minute))
				time.Sleep(time.Minute + afterlife - 1)
				lists(t, "told that it lives for another minute, and almost as much later", j, "a k")
				time.Sleep(1)
				lists(t, "later", j, "k")
			})
		})
	}
}

// TestTheSlowestShardSaysWhatIsDead: an entry is dropped for all shards at once.
func TestTheSlowestShardSaysWhatIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := reopened(t, newFragile())
		add(t, j, ends(Token, "a", time.Now().Add(time.Hour)))
		for range 1000 {
			j.tell(time.Now())
			j.tell(time.Now().Add(24 * time.Hour))
			lists(t, "one shard is a day ahead", j, "a")
			time.Sleep(500 * time.Millisecond)
		}
		for range 250 { // the slow one's clock has been set, or it is away: two minutes later nobody waits for it
			j.tell(time.Now().Add(24 * time.Hour))
			time.Sleep(500 * time.Millisecond)
		}
		lists(t, "all are a day ahead", j, "")
	})
}

// reopened opens a journal as a process does that begins.
func reopened(t *testing.T, disk disk) *Journal {
	t.Helper()
	j, err := openJournal(disk, "journal")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// lists checks what a journal gives to workers, and what it keeps when it is written anew.
func lists(t *testing.T, when string, j *Journal, want string) {
	t.Helper()
	if got := names(j.After(0, 10)); got != want {
		t.Errorf("%s: After lists %q, want %q", when, got, want)
	}
	j.renewing.Lock()
	defer j.renewing.Unlock()
	if err := j.renew(); err != nil {
		t.Fatal(err)
	}
	if got := names(j.After(0, 10)); got != want {
		t.Errorf("%s: written anew, After lists %q, want %q", when, got, want)
	}
}
