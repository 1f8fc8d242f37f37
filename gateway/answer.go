package gateway

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

// A client that does not take what it asked for is cut off: each write has writeWait from the last time that one
// got through. The deadline is moved at most once every writeStep, for moving it costs as much as a small write.
const (
	writeWait = 30 * time.Second
	writeStep = time.Second
)

// answer is the client's side of a visit: it counts what goes out, and bounds how long that may take.
type answer struct {
	http.ResponseWriter
	control  *http.ResponseController
	extended time.Time
	status   int // 0: nothing has gone out
	bytes    int64
	failed   error                    // the first write that did not get through
	tunnel   atomic.Pointer[net.Conn] // nil: the connection is net/http's
}

func (a *answer) reset(w http.ResponseWriter, now time.Time) {
	a.ResponseWriter, a.control = w, http.NewResponseController(w)
	a.extend(now) // also takes away what is left of the connection's last request
}

func (a *answer) begun() bool { return a.status != 0 || a.tunnel.Load() != nil }

func (a *answer) extend(now time.Time) {
	if now.Sub(a.extended) < writeStep {
		return
	}
	a.extended = now
	_ = a.control.SetWriteDeadline(now.Add(writeWait)) // not supported by test recorders
}

func (a *answer) WriteHeader(status int) {
	if !isInformational(status) && a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend(time.Now())
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	if err != nil && a.failed == nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		a.failed = err
	}
	return n, err
}

// Flush, Hijack and Unwrap are what gin and httputil ask of a writer by type.
func (a *answer) Flush() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	_ = a.control.Flush() // its error comes again with the next write
}

func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.control.Hijack()
	if err == nil {
		a.tunnel.Store(&conn)
		a.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// hangUp closes a connection that has become a tunnel. It may be called at any time, from any goroutine.
func (a *answer) hangUp() {
	if conn := a.tunnel.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// prompt writes each header when it is told to, where gin's writer waits for the body: an upstream's 1xx answers would
// be taken for final ones and not sent, and its empty 404 would go out with gin's own Content-Type and text.
type prompt struct {
	gin.ResponseWriter // or what a handler has put around it
	answer             *answer
}

func (p prompt) WriteHeader(status int) {
	if isInformational(status) {
		dropManaged(p.Header())
		p.answer.WriteHeader(status)
		return
	}
	p.ResponseWriter.WriteHeader(status)
	p.ResponseWriter.WriteHeaderNow()
}

// isInformational: 101 is a final answer, though its number is not.
func isInformational(status int) bool { return status < 200 && status != http.StatusSwitchingProtocols }
