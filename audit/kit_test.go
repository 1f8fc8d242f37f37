package audit_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/audit"
)

// kit is a log in a folder of its own, which can be closed and opened again.
type kit struct {
	*audit.Log
	path string
	key  audit.Key
	disk *audit.Disk // nil: the system's
	max  int64
	out  syncBuffer // the ordinary log
	stop func()
}

func newKit(t testing.TB, disk *audit.Disk) *kit {
	t.Helper()
	k := &kit{path: filepath.Join(t.TempDir(), "audit.log"), key: keyOf(t, 'k'), disk: disk}
	k.start(t)
	t.Cleanup(func() { k.stop() })
	return k
}

func keyOf(t testing.TB, of byte) audit.Key {
	t.Helper()
	key, err := audit.NewKey(bytes.Repeat([]byte{of}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (k *kit) config() audit.Config {
	return audit.Config{Path: k.path, Key: &k.key, MaxSize: k.max, Logger: slog.New(slog.NewJSONHandler(&k.out, nil))}
}

// start opens the log and runs it.
func (k *kit) start(t testing.TB) {
	t.Helper()
	var err error
	if k.disk != nil {
		k.Log, err = audit.OpenOn(k.disk, k.config())
	} else {
		k.Log, err = audit.Open(k.config())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	k.stop = func() { cancel(); done.Wait() }
}

func (k *kit) restart(t testing.TB) {
	t.Helper()
	k.stop()
	k.start(t)
}

// write writes events that say their names, and waits for each.
func (k *kit) write(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := k.Write(t.Context(), "issue", slog.String("client", name)); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
}

// files are the log and what was put aside.
func (k *kit) files(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(k.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		if !strings.HasSuffix(name, ".lock") {
			out = append(out, name)
		}
	}
	return out
}

func (k *kit) verify(t testing.TB, anchors ...string) audit.Report {
	t.Helper()
	return verify(t, k.files(t), []audit.Key{k.key}, anchors...)
}

func verify(t testing.TB, files []string, keys []audit.Key, anchors ...string) audit.Report {
	t.Helper()
	var parsed []audit.Anchor
	for _, a := range anchors {
		p, err := audit.ParseAnchor(a)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, p)
	}
	r, err := audit.Verify(files, keys, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantWhole(t testing.TB, what string, r audit.Report) {
	t.Helper()
	if !r.OK {
		t.Errorf("%s: broken: %v", what, r.Broken)
	}
}

func wantBroken(t testing.TB, what string, r audit.Report, says string) {
	t.Helper()
	if r.OK {
		t.Errorf("%s: ok, want broken: %s", what, says)
	} else if !strings.Contains(r.Broken.What, says) {
		t.Errorf("%s: broken: %v, want it to say %q", what, r.Broken, says)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// syncBuffer is a buffer that many write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }
