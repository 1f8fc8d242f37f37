package store

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"syscall"
)

// Limits of one reply. What our commands are answered with is far below all of them but the size, which a state and
// INFO come near to.
const (
	maxReply = MaxState + 64<<10 // bytes, headers included
	maxLine  = 4 << 10           // bytes of a header or of an error
	maxArray = 64                // elements
	maxDepth = 8                 // arrays in arrays: the greeting lists Redis' modules and their arguments
)

var errReply = errors.New("the reply of Redis is malformed or too large to be one")

// replies reads along on a connection to Redis, and cuts it before go-redis sees a reply that is over a limit:
// go-redis allocates what a header announces before anything of it has come, panics where that is more than there
// can be, and calls itself for each array in an array. Only RESP2 passes, which is what we ask for. One Read at a time.
type replies struct {
	net.Conn
	line []byte // of a header that has come in part
	rest int    // bytes of a string, and of its line end, that are still to come
	open []int  // for each array that we are in: elements still to come
	left int    // bytes that this reply may still have
}

// boundReplies keeps what lets go-redis look for unread data on an idle socket; TLS has no such thing.
func boundReplies(conn net.Conn) net.Conn {
	r := &replies{Conn: conn, left: maxReply}
	if raw, ok := conn.(syscall.Conn); ok {
		return struct {
			*replies
			syscall.Conn
		}{r, raw}
	}
	return r
}

func (r *replies) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if bad := r.follow(b[:n]); bad != nil {
		return 0, errors.Join(bad, r.Close())
	}
	return n, err
}

// follow advances over bytes that came.
func (r *replies) follow(b []byte) error {
	for len(b) > 0 {
		if r.rest > 0 {
			n := min(r.rest, len(b))
			r.rest, b = r.rest-n, b[n:]
			if r.rest == 0 {
				r.element()
			}
			continue
		}
		n := bytes.IndexByte(b, '\n') + 1
		ended := n > 0
		if !ended {
			n = len(b)
		}
		if len(r.line)+n > maxLine || n > r.left {
			return errReply
		}
		r.line, r.left, b = append(r.line, b[:n]...), r.left-n, b[n:]
		if !ended {
			return nil
		}
		if err := r.header(); err != nil {
			return err
		}
		r.line = r.line[:0]
	}
	return nil
}

// header judges a whole line.
func (r *replies) header() error {
	text, ok := bytes.CutSuffix(r.line, []byte("\r\n"))
	if !ok || len(text) == 0 {
		return errReply
	}
	kind, length := text[0], string(text[1:])
	switch {
	case kind == '+' || kind == '-' || kind == ':', (kind == '$' || kind == '*') && length == "-1": // -1 is nil
		r.element()
		return nil
	case kind != '$' && kind != '*':
		return errReply
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil {
		return errReply
	}
	if kind == '*' {
		return r.array(int(n))
	}
	r.rest = int(n) + len("\r\n")
	if r.left -= r.rest; r.left < 0 {
		return errReply
	}
	return nil
}

func (r *replies) array(n int) error {
	if n > maxArray || len(r.open) == maxDepth {
		return errReply
	}
	if n == 0 {
		r.element()
		return nil
	}
	r.open = append(r.open, n)
	return nil
}

// element counts one that is complete, and the arrays that are complete with it.
func (r *replies) element() {
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i]--; r.open[i] > 0 {
			return
		}
		r.open = r.open[:i]
	}
	r.left = maxReply // the next reply begins
}
