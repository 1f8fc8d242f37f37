package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/audit"
)

// A crash cuts the last write off at any byte.
func TestTornEndIsKeptAndTheChainGoesOn(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a", "b")
	k.stop()
	whole := read(t, k.path)
	last := strings.LastIndex(strings.TrimSuffix(whole, "\n"), "\n") + 1
	for cut := 1; cut <= len(whole); cut += 7 {
		put(t, k.path, whole[:cut])
		k.restart(t)
		k.write(t, "c")
		k.stop()
		text := read(t, k.path)
		if !strings.HasPrefix(text, whole[:cut]) {
			t.Fatalf("cut at %d: what was there is not kept", cut)
		}
		r := k.verify(t)
		wantWhole(t, fmt.Sprintf("cut at %d of %d", cut, len(whole)), r)
		if cut > last && cut < len(whole) && (r.Torn == 0 || r.Last != 4) {
			t.Errorf("cut at %d: report %+v, want torn bytes, and two lines after line 2", cut, r)
		}
	}
}

func TestWhatIsNoAuditLogIsNotTouched(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.stop()
	for _, text := range []string{"hello\n", strings.Repeat(`{"a":1}`+"\n", 10000), `{"seq":` + strings.Repeat("x", 1<<15)} {
		put(t, k.path, text)
		if l, err := audit.Open(k.config()); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%.20q: got %v, %v, want an error that says what to do", text, l, err)
		}
		if read(t, k.path) != text {
			t.Errorf("%.20q was changed", text)
		}
	}
	rename(t, k.path, k.path+".other")
	k.start(t)
}

func TestSecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	if _, err := audit.Open(k.config()); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v, want that another process has it open", err)
	}
	k.restart(t)
	k.write(t, "a")
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := audit.NewDisk()
	k := newKit(t, disk)
	k.write(t, "a")
	disk.Fill(100) // less than a line
	if err := k.Write(t.Context(), "issue"); !errors.Is(err, audit.ErrNotWritten) || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("on a full disk: got %v, want ErrNotWritten and the reason", err)
	}
	if err := k.Ready(); !errors.Is(err, audit.ErrNotWritten) {
		t.Errorf("Ready on a full disk: %v, want ErrNotWritten", err)
	}
	for range 9 {
		if err := k.Write(t.Context(), "issue"); !errors.Is(err, audit.ErrNotWritten) {
			t.Errorf("while it is full: got %v, want ErrNotWritten", err)
		}
	}
	disk.Fill(-1)
	// It finds out by itself: who is told that it is not ready sends nothing.
	eventually(t, "it is written again", func() bool { return k.Ready() == nil })
	k.write(t, "b")
	k.stop()
	r := k.verify(t)
	wantWhole(t, "after a full disk", r)
	if r.Lost != 10 || r.Torn == 0 {
		t.Errorf("report %+v, want 10 lost events, and torn bytes", r)
	}
	for _, want := range []string{"audit log is not written", "audit log is written again"} {
		if got := strings.Count(k.out.String(), `"`+want+`"`); got != 1 {
			t.Errorf("the ordinary log says %d times %q, want once: %s", got, want, &k.out)
		}
	}
}

func TestDiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := audit.NewDisk()
		k := newKit(t, disk)
		release := disk.Hang()
		started := time.Now()
		if err := k.Write(t.Context(), "issue"); !errors.Is(err, audit.ErrNotWritten) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrNotWritten because of the deadline", err)
		}
		if took := time.Since(started); took != 5*time.Second {
			t.Errorf("it took %v, want 5 s", took)
		}
		for range 10_000 {
			k.Note("refuse", slog.String("why", strings.Repeat("x", 1000))) // does not wait
		}
		time.Sleep(time.Second)
		if err := k.Ready(); !errors.Is(err, audit.ErrNotWritten) {
			t.Errorf("Ready: %v, want ErrNotWritten", err)
		}
		release(nil)
		k.write(t, "after")
		k.stop()
		r := k.verify(t)
		wantWhole(t, "after a disk that hung", r)
		if r.Lost == 0 || r.Lost+r.Lines < 10_000 {
			t.Errorf("%d lines and %d lost, want 10,000 together", r.Lines, r.Lost)
		}
	})
}

// A line whose fsync failed may be there or not: nobody is told that it is, and the chain goes on.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	disk := audit.NewDisk()
	k := newKit(t, disk)
	release := disk.Hang()
	failed := make(chan error, 1)
	go func() { failed <- k.Write(context.Background(), "issue") }()
	release(errors.New("input/output error"))
	if err := <-failed; !errors.Is(err, audit.ErrNotWritten) {
		t.Errorf("got %v, want ErrNotWritten", err)
	}
	eventually(t, "it is written again", func() bool { return k.Ready() == nil })
	k.write(t, "b")
	k.stop()
	wantWhole(t, "after a failed fsync", k.verify(t))
}

func TestManyWritersShareAnFsync(t *testing.T) {
	t.Parallel()
	disk := audit.NewDisk()
	k := newKit(t, disk)
	before := disk.Syncs()
	release := disk.Hang()
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if err := k.Write(t.Context(), "issue", slog.Int("n", n)); err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		})
	}
	eventually(t, "somebody syncs", func() bool { return disk.Syncs() > before })
	release(nil)
	all.Wait()
	if got := disk.Syncs() - before; got > 100 {
		t.Errorf("%d fsyncs for 200 lines at once", got)
	}
	k.stop()
	wantWhole(t, "200 at once", k.verify(t))
}

func TestLinesAreBoundedAndWellFormed(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	attrs := []slog.Attr{
		slog.String("text", "a\"b\n\x00\u2028<é\xff"), slog.String("long", strings.Repeat("x", 5000)), slog.String("empty", ""),
		slog.Any("list", []string{"a", "b"}), slog.Any("err", errors.New("went wrong")), slog.Any("key", k.key), slog.Any("none", nil),
		slog.Any("func", func() {}), slog.Int("n", 7), slog.Bool("yes", true), slog.Duration("took", time.Second), slog.Time("at", time.Unix(0, 0)),
	}
	for n := range 40 {
		attrs = append(attrs, slog.String(fmt.Sprintf("more%d", n), strings.Repeat("y", 1000)))
	}
	if err := k.Write(t.Context(), "issue", attrs...); err != nil {
		t.Fatal(err)
	}
	k.stop()
	wantWhole(t, "odd values", k.verify(t))
	lines := strings.Split(read(t, k.path), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil || len(lines[1]) > 16<<10 {
		t.Fatalf("%d bytes, %v", len(lines[1]), err)
	}
	for name, want := range map[string]any{
		"err": "went wrong", "key": "[audit key]", "n": 7.0, "yes": true, "took": "1s", "at": "1970-01-01T00:00:00Z", "cut": true,
		"empty": nil, "none": nil, "func": "[func()]",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestRedactSeesEveryLine(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.stop()
	c := k.config()
	c.Redact = func(line []byte) []byte { return bytes.ReplaceAll(line, []byte("secret"), []byte("[cut]")) }
	l, err := audit.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.Note("issue", slog.String("error", "a secret"))
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if text := read(t, k.path); strings.Contains(text, "secret") || !strings.Contains(text, "a [cut]") {
		t.Errorf("the file has %s", text)
	}
	wantWhole(t, "redacted", k.verify(t))
	k.start(t)
}

func TestFileOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.stop()
	if err := os.Chmod(k.path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(k.config()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v, want what to do", err)
	}
	if err := os.Chmod(k.path, 0o600); err != nil {
		t.Fatal(err)
	}
	k.start(t)
}

// eventually polls, for what happens in the background.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
