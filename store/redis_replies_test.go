package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// hostileReplies are what no Redis of ours says, and what would cost a client that believes it its memory or its life.
var hostileReplies = []struct{ name, reply string }{
	{"a string of all memory", "$9223372036854775800\r\n"},
	{"a string whose length overflows", "$9223372036854775807\r\n"},
	{"an array of all memory", "*9223372036854775807\r\n"},
	{"an array of 32 GiB", "*2147483647\r\n"},
	{"an array of one more than allowed", "*65\r\n"},
	{"a string of 2 GiB", "$2147483647\r\n"},
	{"arrays in arrays in arrays", strings.Repeat("*1\r\n", 1000)},
	{"a line without an end", "+" + strings.Repeat("x", 1<<20)},
	{"much in pieces", "*64\r\n" + strings.Repeat("$65536\r\n"+strings.Repeat("x", 65536)+"\r\n", 64)},
	{"a map, which we have not asked for", "%2147483647\r\n"},
	{"a set", "~2147483647\r\n"},
	{"an attribute", "|2147483647\r\n"},
	{"a push", ">2147483647\r\n"},
	{"a verbatim string", "=2147483647\r\n"},
	{"a long error", "!2147483647\r\n"},
	{"a length with a sign", "$+5\r\nhello\r\n"},
	{"a negative length", "*-2\r\n"},
	{"no length", "$\r\n"},
	{"no line", "\n"},
}

// TestRedisHostileReplies: an answer that is too large to be ours never gets as far as the client library, whether it
// comes to a command or while connecting; and the store is used again at once.
func TestRedisHostileReplies(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	w := newWire(t, server, l)
	to := func(c *store.RedisConfig) { c.Addr = l.Addr().String() }
	s := connect(t, server, to)
	r := put(t, s)
	for _, row := range hostileReplies {
		say := func([]byte) []byte { return []byte(row.reply) }
		for where, asked := range map[string]*store.Redis{"to a command": s, "to the greeting": connect(t, server, to)} {
			w.once(say)
			if _, err := asked.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "reply of Redis") {
				t.Errorf("%s %s: got %v, want ErrUnavailable for the reply", row.name, where, err)
			}
			if got, err := asked.Take(t.Context(), r.JTI); err != nil || string(got.Blob) != string(r.Blob) {
				t.Errorf("after %s %s: got %q, %v, want %q", row.name, where, got.Blob, err, r.Blob)
			}
		}
	}
}

// TestRedisRepliesInPieces: an honest reply passes however it is cut, up to the largest state, and as often as it comes.
func TestRedisRepliesInPieces(t *testing.T) {
	t.Parallel()
	one := "*3\r\n+OK\r\n*-1\r\n*2\r\n*0\r\n$-1\r\n" + ":1\r\n-ERR no\r\n$0\r\n\r\n$5\r\na\r\nb\n\r\n*64\r\n" + strings.Repeat("$1\r\n*\r\n", 64)
	largest := fmt.Sprintf("*4\r\n$4\r\nring\r\n$2\r\nok\r\n$1\r\n1\r\n$%d\r\n%s\r\n", store.MaxState, strings.Repeat("x", store.MaxState))
	for name, wire := range map[string]io.Reader{
		"byte by byte": iotest.OneByteReader(strings.NewReader(strings.Repeat(one, 10))),
		"largest":      iotest.HalfReader(strings.NewReader(strings.Repeat(largest, 3))),
	} {
		n, err := io.Copy(io.Discard, store.BoundReplies(readConn{Reader: wire}))
		if err != nil {
			t.Errorf("%s: after %d bytes: %v", name, n, err)
		}
	}
}

// readConn is a connection of which only the reading is used.
type readConn struct {
	net.Conn
	io.Reader
}

func (c readConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// TestRedisClientPanics: a fault of the client library costs the command that met it, not the process.
func TestRedisClientPanics(t *testing.T) {
	t.Parallel()
	_, err := store.Bounded(t.Context(), testTimeout, func(context.Context) (string, error) { panic("makeslice") })
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
