package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// readWait is how long a client may pause within its body.
const readWait = 10 * time.Second

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
	until   time.Time   // the request's deadline
	waiting atomic.Bool // for the client, right now
}

func newBody(a *answer, r io.ReadCloser, most int64, until time.Time) *body {
	return &body{limited: http.MaxBytesReader(a.ResponseWriter, r, most), control: a.control, until: until}
}

// Read gives the client readWait for its next bytes. When the body has ended the deadline is lifted: the
// connection is then watched for its client going away, for as long as the answer lasts.
func (b *body) Read(p []byte) (int, error) {
	deadline := time.Now().Add(readWait)
	if deadline.After(b.until) {
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline) // not supported by test recorders
	b.waiting.Store(true)
	n, err := b.limited.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errSlowBody // and it stays waiting: the request ends because of the client
	}
	b.waiting.Store(false)
	if err == nil {
		return n, nil
	}
	_ = b.control.SetReadDeadline(time.Time{})
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || err == io.EOF {
		return n, err
	}
	return n, fmt.Errorf("%w: %w", errBrokenBody, err)
}

func (b *body) Close() error { return b.limited.Close() }

// stalled reports whether the edge is waiting for the client's body, and not for the upstream.
func (b *body) stalled() bool { return b != nil && b.waiting.Load() }
