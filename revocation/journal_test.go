package revocation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatalf("OpenJournal(%s): %v", path, err)
	}
	return j
}

func shut(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func add(t *testing.T, j *Journal, rs ...Revocation) uint64 {
	t.Helper()
	last, err := j.Append(rs)
	if err != nil {
		t.Fatalf("Append(%v): %v", rs, err)
	}
	return last
}

func TestJournalKeepsWhatItWasTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	until := time.Unix(time.Now().Unix()+3600, 0)
	first := add(t, j, ends(Token, "a", until))
	last := add(t, j, ends(Family, "b", until), ends(Client, "c", until), ends(Subject, "d", until),
		ends(Before, "1700000000", until), ends(Key, "k", time.Unix(0, 0)))
	if last != first+5 {
		t.Fatalf("Append of five gave %d after %d", last, first)
	}
	want := j.After(0, 10)
	shut(t, j)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v; want 0600", info.Mode(), err)
	}

	again := open(t, path)
	if again.ID() != j.ID() {
		t.Errorf("id after opening again is %q, was %q", again.ID(), j.ID())
	}
	if diff := cmp.Diff(want, again.After(0, 10)); diff != "" || len(want) != 6 {
		t.Errorf("%d entries; after opening again (-was +is):\n%s", len(want), diff)
	}
	if got := again.After(first, 2); len(got) != 2 || got[0].Name != "b" || got[1].Number != first+2 {
		t.Errorf("After(%d, 2) = %v, want the two after it", first, got)
	}
	if n := add(t, again, token("e")); n <= last || n > last+maxSkip+1 {
		t.Errorf("the next number is %d after %d, want a small gap", n, last)
	}
	shut(t, again)
	if _, err := again.Append([]Revocation{token("f")}); !errors.Is(err, ErrJournal) {
		t.Errorf("Append after Close: %v", err)
	}
}

func TestJournalForgetsTheDeadButNoKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	j.tell(time.Now())
	gone, soon := time.Now().Add(-2*afterlife), time.Now().Add(-afterlife/2)
	for i := range 3000 {
		add(t, j, ends(Token, "dead-"+strconv.Itoa(i), gone))
	}
	add(t, j, ends(Key, "leaked", gone), ends(Token, "just-dead", soon))
	size, entries, _ := j.state()
	if entries > 2500 || size > 150_000 {
		t.Errorf("%d bytes, %d entries after 3,000 that are dead: it was never written anew", size, entries)
	}
	// Other hosts' clocks may be behind: what has died just now is still told.
	if got := names(j.After(0, 10)); got != "leaked just-dead" {
		t.Errorf("After lists %q, want the key and what died just now", got)
	}
	j.renewing.Lock()
	if err := j.renew(); err != nil {
		t.Error(err)
	}
	j.renewing.Unlock()
	shut(t, j)
	j = open(t, path)
	defer shut(t, j)
	if got := names(j.After(0, 10)); got != "leaked just-dead" {
		t.Errorf("opened again, After lists %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 500 {
		t.Errorf("opened again, the file has %d bytes, %v", info.Size(), err)
	}
}

func names(entries []store.Numbered) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

func TestManyAppendsAtOnce(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	defer shut(t, j)
	var all sync.WaitGroup
	var mu sync.Mutex
	given := map[uint64]string{}
	for i := range 300 {
		all.Go(func() {
			name := fmt.Sprint("t", i)
			rs := []Revocation{token(name), token(name + "-2")}
			last, err := j.append(rs, func(first uint64) {
				if len(j.After(first-1, 1)) != 0 {
					t.Errorf("%s can be seen before its caller knows its number", name)
				}
				mu.Lock()
				defer mu.Unlock()
				given[first], given[first+1] = rs[0].Name, rs[1].Name
			})
			if err != nil {
				t.Error(err)
			}
			if got := j.After(last-2, 2); len(got) != 2 || got[0].Name != name || got[1].Name != name+"-2" {
				t.Errorf("After(%d) = %v, want the two of %s", last-2, got, name)
			}
		})
	}
	all.Wait()
	entries := j.After(0, 1000)
	if len(entries) != 600 || len(given) != 600 {
		t.Fatalf("%d entries, %d numbers, want 600", len(entries), len(given))
	}
	for _, e := range entries {
		if given[e.Number] != e.Name {
			t.Errorf("number %d was given for %q, the journal has %q", e.Number, given[e.Number], e.Name)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	if _, err := OpenJournal(path); err == nil || !strings.Contains(err.Error(), "a journal of its own") {
		t.Errorf("second OpenJournal: %v, want a refusal that says what to do", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(link); err == nil {
		t.Error("second OpenJournal through a link was not refused")
	}
	shut(t, j)
	shut(t, open(t, link))
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link has been replaced: %v, %v", info, err)
	}
}

func TestWhatIsNoJournalIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	shut(t, open(t, path))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"others may write":   {func(p string) error { return errors.Join(os.WriteFile(p, good, 0o600), os.Chmod(p, 0o620)) }, "chmod 600"},
		"a folder":           {func(p string) error { return os.Mkdir(p, 0o700) }, "not a regular file"},
		"a pipe":             {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "not a regular file"},
		"a link to itself":   {func(p string) error { return os.Symlink(p, p) }, "too many links"},
		"a link to nothing":  {func(p string) error { return os.Symlink(p+"-gone", p) }, "leads to nothing"},
		"another file":       {func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) }, "byte 0"},
		"an empty file":      {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "byte 0"},
		"half of the header": {func(p string) error { return os.WriteFile(p, good[:40], 0o600) }, "byte 0"},
		"another id": {func(p string) error {
			return os.WriteFile(p, []byte(strings.Replace(string(good), "journal 1\n", "journal 1\n0", 1)), 0o600)
		}, "byte 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenJournal(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("OpenJournal: %v, want %q", err, c.want)
			}
		})
	}
	if _, err := OpenJournal(filepath.Join(t.TempDir(), "no", "journal")); err == nil || !strings.Contains(err.Error(), "make the folder") {
		t.Errorf("OpenJournal without its folder: %v", err)
	}
}

// TestDamageIsNotATornEnd breaks each byte of a journal in turn: only what is broken in the last write is dropped.
func TestDamageIsNotATornEnd(t *testing.T) {
	t.Parallel()
	content := appendHead(nil, newID(), 7)
	var ends []int
	for i := range uint64(3) {
		content = appendGroup(content, appendEntry(nil, 8+i, 0, token("some-token")))
		ends = append(ends, len(content))
	}
	for i := range content {
		broken := []byte(string(content))
		broken[i] ^= 0x20
		c, err := parse(bytes.NewReader(broken))
		switch {
		case i < sizeHead && err == nil, i >= sizeHead && i < ends[1] && err == nil:
			t.Errorf("byte %d of %v broken: no error, %d entries", i, ends, size(c))
		case i >= ends[1] && (err != nil || size(c) != 2 || c.torn != ends[2]-ends[1]):
			t.Errorf("byte %d of %v broken: %v, %d entries, %d bytes torn; want the last dropped", i, ends, err, size(c), c.torn)
		}
	}
	for n := ends[1]; n < ends[2]; n++ {
		if c, err := parse(bytes.NewReader(content[:n])); err != nil || size(c) != 2 || c.torn != n-ends[1] {
			t.Errorf("cut at %d of %v: %v, %+v", n, ends, err, c)
		}
	}
	path := filepath.Join(t.TempDir(), "journal")
	content[ends[0]+20] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenJournal(path)
	if want := fmt.Sprintf("journal %s: is damaged at byte %d", path, ends[0]); err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "move it away") {
		t.Errorf("OpenJournal = %v, want %q and what to do", err, want)
	}
}

// TestWholeButWrong: checksums that are right are not enough.
func TestWholeButWrong(t *testing.T) {
	t.Parallel()
	head := appendHead(nil, newID(), 7)
	good := appendGroup(slices.Clone(head), appendEntry(nil, 8, 0, token("good")))
	reframed := func(change func(body []byte) []byte) []byte {
		body := change(slices.Clone(good[len(head)+sizeFrame:]))
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		frame = binary.BigEndian.AppendUint32(frame, sum(frame))
		return slices.Concat(head, binary.BigEndian.AppendUint32(frame, sum(body)), body)
	}
	for name, file := range map[string][]byte{
		"numbers do not ascend":         appendGroup(slices.Clone(good), appendEntry(nil, 8, 0, token("again"))),
		"an unknown kind":               reframed(func(b []byte) []byte { b[24] = 77; return b }),
		"no kind":                       reframed(func(b []byte) []byte { b[24] = 0; return b }),
		"a bad name":                    reframed(func(b []byte) []byte { b[26] = ' '; return b }),
		"a name too long":               reframed(func(b []byte) []byte { b[25] = 5; return b }),
		"half an entry":                 reframed(func(b []byte) []byte { return b[:10] }),
		"more than one write is broken": slices.Concat(good, make([]byte, sizeFrame+maxBody+1)),
	} {
		if c, err := parse(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), "is damaged at byte") {
			t.Errorf("%s: parse = %+v, %v; want damage", name, c, err)
		}
	}
	if c, err := parse(bytes.NewReader(reframed(func(b []byte) []byte { return b }))); err != nil || size(c) != 1 {
		t.Errorf("parse of a good file = %+v, %v", c, err)
	}
}

func TestWhatTheStoreRefusesIsNotTaken(t *testing.T) {
	t.Parallel()
	j := NewVolatileJournal()
	later := time.Now().Add(time.Hour)
	for _, r := range []Revocation{
		ends("", "a", later), ends("grant", "a", later), ends(Token, "", later), ends(Token, "a b", later),
		ends(Token, strings.Repeat("a", 65), later), ends(Before, "soon", later), ends(Before, "007", later), ends(Token, "a", time.Time{}),
	} {
		if _, err := j.Append([]Revocation{token("good"), r}); err == nil {
			t.Errorf("Append(%v) was taken", r)
		}
	}
	if _, err := j.Append(nil); err == nil {
		t.Error("Append of nothing was taken")
	}
	if _, err := j.Append(make([]Revocation, maxAppend+1)); err == nil {
		t.Error("Append of too many was taken")
	}
	if got := j.After(0, 10); len(got) != 0 {
		t.Errorf("the journal has %v", got)
	}
	add(t, j, token("good"))
}

// FuzzParse: no file makes the reader fail in another way than with an error, and what it reads it would write again.
func FuzzParse(f *testing.F) {
	head := appendHead(nil, newID(), 3)
	one := appendGroup(slices.Clone(head), appendEntry(appendEntry(nil, 4, 1, token("a")), 9, 1, ends(Key, "k", time.Unix(0, 0))))
	for _, seed := range [][]byte{nil, head, one, one[:len(one)-1], slices.Concat(one, make([]byte, 100)), appendGroup(slices.Clone(one), appendEntry(nil, 4, 1, token("a")))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := parse(bytes.NewReader(file))
		if err != nil {
			return
		}
		again := appendHead(nil, c.id, c.last)
		for _, page := range c.entries.list {
			again = appendGroup(again, page.body)
		}
		d, err := parse(bytes.NewReader(again))
		c.torn = 0
		if err != nil || !cmp.Equal(d, c, cmp.AllowUnexported(contents{}, pages{}, page{})) {
			t.Errorf("parse(%q) = %+v; written and read again: %+v, %v", file, c, d, err)
		}
	})
}

func appendGroup(b, body []byte) []byte { return slices.Concat(b, frame(body), body) }

// size is how many entries were read; 0 with an error.
func size(c *contents) int {
	if c == nil {
		return 0
	}
	return c.entries.count
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(callers, "-callers"), func(b *testing.B) {
			j, err := OpenJournal(filepath.Join(b.TempDir(), "journal"))
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			r := []Revocation{token("0123456789abcdef0123456789abcdef")}
			b.SetParallelism(max(1, callers/2))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := j.Append(r); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}
