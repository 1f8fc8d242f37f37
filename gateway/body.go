package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// How long a client may pause within its body, and how long net/http may go on reading a body that nobody wants any
// more, which it does before it sends the answer.
const (
	readWait  = 10 * time.Second
	drainWait = time.Second
)

// What a client can do wrong with its body, besides sending too much of it; neither is the upstream's fault.
var (
	errSlowBody   = errors.New("gateway: client stopped sending its body")
	errBrokenBody = errors.New("gateway: client's body is broken off or badly framed")
)

// body bounds a request's body in bytes, in pauses and in all. The upstream's transport reads it in a goroutine of
// its own.
type body struct {
	limited io.ReadCloser // http.MaxBytesReader
	control *http.ResponseController
	start   time.Time
	within  time.Duration // from start: the request's deadline
	ended   atomic.Bool   // there is nothing left to read
	due     atomic.Int64  // from start, in ns: when the client that is being waited for has run out of time; 0: nobody waits
}

func newBody(a *answer, r io.ReadCloser, most int64, start time.Time, within time.Duration) *body {
	b := &body{limited: http.MaxBytesReader(a.ResponseWriter, r, most), control: a.control, start: start, within: within}
	_ = b.control.SetReadDeadline(start.Add(within)) // for reads of others than us
	return b
}

// Read gives the client readWait for its next bytes. When the body has ended the deadline is lifted: the
// connection is then watched for its client going away, for as long as the answer lasts.
func (b *body) Read(p []byte) (int, error) {
	due := min(time.Since(b.start)+readWait, b.within)
	_ = b.control.SetReadDeadline(b.start.Add(due)) // not supported by test recorders
	b.due.Store(int64(due))
	n, err := b.limited.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errSlowBody
	}
	b.due.Store(0)
	if err == nil {
		return n, nil
	}
	b.ended.Store(true)
	_ = b.control.SetReadDeadline(time.Time{})
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || err == io.EOF {
		return n, err
	}
	return n, errBrokenBody // alone: some of net/http's texts quote the body
}

func (b *body) Close() error { return b.limited.Close() }

// leave bounds what net/http does with the rest of the body after the request has been served.
func (b *body) leave() {
	if b != nil && !b.ended.Load() {
		_ = b.control.SetReadDeadline(time.Now().Add(drainWait))
	}
}

// stalled reports whether the client has run out of time for its next bytes. net/http cancels the request's context
// in the same moment, and may so be heard of before the error that Read returns.
func (b *body) stalled() bool {
	if b == nil {
		return false
	}
	due := b.due.Load()
	return due != 0 && time.Since(b.start) >= time.Duration(due)
}
