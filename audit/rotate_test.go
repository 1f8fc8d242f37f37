package audit_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/audit"
)

// logrotate renames the file, and tells nobody.
func TestRenamedFile(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a", "b")
	rename(t, k.path, k.path+".1")
	k.write(t, "c", "d")
	k.stop()
	wantWhole(t, "both files", k.verify(t, k.Head()))
	r := verify(t, []string{k.path}, []audit.Key{k.key})
	wantWhole(t, "the new one alone", r)
	if r.First != 4 || len(r.Notes) == 0 {
		t.Errorf("report %+v, want that it begins with line 4, and a note of it", r)
	}
	// What is between them cannot be taken out.
	old := read(t, k.path+".1")
	put(t, k.path+".1", old[:strings.LastIndex(strings.TrimSuffix(old, "\n"), "\n")+1])
	wantBroken(t, "the old one without its last line", k.verify(t), "does not follow")
}

func TestRenamedWhileNobodyWrites(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a")
	for n := range 3 {
		k.stop()
		rename(t, k.path, fmt.Sprintf("%s-2026110%d", k.path, n))
		k.start(t)
		k.write(t, "b")
	}
	k.stop()
	r := k.verify(t)
	wantWhole(t, "all files", r)
	if len(r.Files) != 4 || r.Last != 8 {
		t.Errorf("report %+v, want 4 files and 8 lines", r)
	}
}

// copytruncate copies, then empties.
func TestEmptiedFile(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a")
	put(t, k.path+".1", read(t, k.path))
	if err := os.Truncate(k.path, 0); err != nil {
		t.Fatal(err)
	}
	k.write(t, "b")
	k.stop()
	wantWhole(t, "copy and rest", k.verify(t, k.Head()))
}

// A running process remembers more than a file that was cut.
func TestCutWhileRunningShows(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a", "b", "c")
	text := read(t, k.path)
	if err := os.Truncate(k.path, int64(strings.Index(text, "\n")+1)); err != nil {
		t.Fatal(err)
	}
	k.write(t, "d")
	k.stop()
	wantBroken(t, "cut while it was written", k.verify(t), "does not follow")
}

func TestLargeFilesArePutAside(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.stop()
	k.max = 2000
	k.start(t)
	for n := range 30 {
		k.write(t, fmt.Sprint(n))
	}
	k.stop()
	files := k.files(t)
	r := k.verify(t, k.Head())
	wantWhole(t, "all files", r)
	if len(files) < 3 || len(r.Files) != len(files) {
		t.Errorf("files %q, want several", files)
	}
	for _, f := range files {
		if size := len(read(t, f)); size > 3000 {
			t.Errorf("%s has %d bytes, want about 2000", f, size)
		}
	}
	if err := os.Remove(files[len(files)/2]); err != nil {
		t.Fatal(err)
	}
	wantBroken(t, "without one of them", k.verify(t), "does not follow")
}

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
