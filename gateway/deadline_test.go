package gateway

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// timed is a connection as far as deadlines go.
type timed struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (c *timed) SetReadDeadline(t time.Time) error  { c.read = t; return nil }
func (c *timed) SetWriteDeadline(t time.Time) error { c.write = t; return nil }

func newTimed() *timed { return &timed{ResponseRecorder: httptest.NewRecorder()} }

// Each write has its deadline ahead of it, and an idle stream is not cut for having been idle.
func TestEveryWriteHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := newTimed()
		var a answer
		a.reset(conn, time.Now())
		for _, pause := range []time.Duration{0, 100 * time.Millisecond, 5 * time.Second, time.Hour} {
			time.Sleep(pause)
			if _, err := a.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if left := time.Until(conn.write); left <= writeWait-writeStep || left > writeWait {
				t.Errorf("after a pause of %v a write has %v, want about %v", pause, left, writeWait)
			}
		}
	})
}

// Each read of a body has a deadline of its own, within that of the request; at the body's end none is left over.
func TestEveryBodyReadHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, slow := newTimed(), 9*time.Second
		var left time.Duration
		b := newTestBody(conn, func() error {
			left = time.Until(conn.read)
			time.Sleep(slow)
			return nil
		})
		for _, want := range []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second, 3 * time.Second} {
			if _, err := b.Read(make([]byte, 1)); err != nil || left != want {
				t.Errorf("a read had %v and gave %v, want %v", left, err, want)
			}
			slow = min(slow, time.Until(b.start.Add(b.within)))
		}
		b = newTestBody(conn, func() error { return io.EOF })
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || !conn.read.IsZero() || b.stalled() {
			t.Errorf("the end gave %v, deadline %v, stalled %v; want EOF, none, false", err, conn.read, b.stalled())
		}
		b = newTestBody(conn, func() error {
			time.Sleep(time.Until(conn.read))
			return os.ErrDeadlineExceeded
		})
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errSlowBody) || !b.stalled() {
			t.Errorf("a client that pauses too long gave %v and stalled %v, want errSlowBody and true", err, b.stalled())
		}
	})
}

// reader reads one byte at a time, when f says nil.
type reader func() error

func (f reader) Read([]byte) (int, error) {
	if err := f(); err != nil {
		return 0, err
	}
	return 1, nil
}

func newTestBody(conn *timed, f reader) *body {
	var a answer
	a.reset(conn, time.Now())
	return newBody(&a, io.NopCloser(f), 100, time.Now(), 30*time.Second)
}
