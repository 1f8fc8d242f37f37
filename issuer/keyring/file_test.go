package keyring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// remembers gives an issuer a ring file, and says where it is.
func remembers(t *testing.T) (path string, change func(*Config)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ring")
	return path, func(c *Config) { c.File = path }
}

// turnTwice makes a ring two generations later, in which nothing of the first active key is left, and puts it there.
func (f *faulty) turnTwice(t *testing.T, keys *sealing.Keys) *Ring {
	t.Helper()
	r, _ := f.held(t, keys)
	for range 3 {
		turned, changed := r.turned(time.Now().Add(48*time.Hour*time.Duration(r.generation)), es256(time.Minute, time.Hour))
		if !changed {
			t.Fatal("the ring did not turn")
		}
		r = turned
	}
	f.put(t, keys, r)
	return r
}

// TestOldRingPutBackBeforeARestart: who can write to the store waits for the issuer to be restarted. Without a ring
// file he wins; with one the issuer goes on with the newest that it has used.
func TestOldRingPutBackBeforeARestart(t *testing.T) {
	t.Parallel()
	_, keeps := remembers(t)
	for name, row := range map[string]struct {
		changes []func(*Config)
		old     bool
	}{
		"without a ring file": {nil, true},
		"with a ring file":    {[]func(*Config){keeps}, false},
	} {
		f, all := onOneStore(t, 1, row.changes...)
		k := all[0]
		k.look(t)
		first, _ := f.held(t, k.sealing)
		newest := f.turnTwice(t, k.sealing)
		k.look(t)
		f.put(t, k.sealing, first)

		restarted := f.join(t, row.changes...)
		restarted.look(t)
		if got := restarted.kept.Load().ring; got.sameKeys(newest) == row.old {
			t.Errorf("%s: the restarted issuer has generation %d, the newest was %d", name, got.generation, newest.generation)
		}
		if held, _ := f.held(t, k.sealing); held.sameKeys(newest) == row.old {
			t.Errorf("%s: the store holds generation %d, the newest was %d", name, held.generation, newest.generation)
		}
	}
}

// TestLostRingComesBackFromTheFile: the store loses its data while no issuer runs.
func TestLostRingComesBackFromTheFile(t *testing.T) {
	t.Parallel()
	_, keeps := remembers(t)
	f, all := onOneStore(t, 1, keeps)
	all[0].look(t)
	before := all[0].kept.Load().ring
	f.lose()
	restarted := f.join(t, keeps)
	restarted.look(t)
	if got := restarted.kept.Load().ring; !got.sameKeys(before) || !got.sameBeginning(before) {
		t.Errorf("the restarted issuer has another ring than before the loss")
	}
}

// TestRingFileThatDoesNotOpenIsNoNewBeginning: damaged, sealed under a lost key, or a copy of what the store holds.
func TestRingFileThatDoesNotOpenIsNoNewBeginning(t *testing.T) {
	t.Parallel()
	path, keeps := remembers(t)
	f, all := onOneStore(t, 1, keeps)
	all[0].look(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, stored, err := f.State(t.Context(), ringName)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "the store's": stored, "changed": append([]byte{9}, good[1:]...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		k := f.join(t, keeps)
		err := k.Look(t.Context())
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete the file") {
			t.Errorf("%s: %v, want an error with the path and the mend", name, err)
		}
		if ready(k) == nil {
			t.Errorf("%s: the issuer is ready", name)
		}
	}
}

// TestRingIsKeptBeforeItIsUsed: where the file cannot be written, nothing is signed.
func TestRingIsKeptBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "no", "such", "folder", "ring")
	_, all := onOneStore(t, 1, func(c *Config) { c.File = gone })
	if err := all[0].Look(t.Context()); err == nil || !strings.Contains(err.Error(), "ring file") {
		t.Errorf("look: %v, want it to say that the ring file cannot be written", err)
	}
	if ready(all[0]) == nil {
		t.Error("signs by a ring that is not kept")
	}
}

// TestRingFileIsClosedToOthers: it is sealed, and its mode says so too. Nothing is left beside it.
func TestRingFileIsClosedToOthers(t *testing.T) {
	t.Parallel()
	path, keeps := remembers(t)
	f, all := onOneStore(t, 1, keeps)
	all[0].look(t)
	f.turnTwice(t, all[0].sealing)
	all[0].look(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if beside, err := os.ReadDir(filepath.Dir(path)); err != nil || len(beside) != 1 {
		t.Errorf("%d files in the folder, %v, want the ring file alone", len(beside), err)
	}
}
