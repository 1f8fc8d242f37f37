package store_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// wire stands between a store and its server. Once, it does to the next reply what a test asks.
type wire struct {
	server   *storetest.Redis
	requests atomic.Int64                              // pieces that the store has sent
	mangle   atomic.Pointer[func(reply []byte) []byte] // nil result: cut the connection instead
}

func newWire(t *testing.T, server *storetest.Redis, l net.Listener) *wire {
	t.Helper()
	w := &wire{server: server}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(client)
		}
	}()
	return w
}

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server.Addr)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, counting{client, &w.requests})
		server.Close()
	}()
	for b := make([]byte, 64<<10); ; {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		reply := b[:n]
		if mangle := w.mangle.Swap(nil); mangle != nil {
			if reply = (*mangle)(reply); reply == nil {
				return
			}
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// counting counts what is read at once.
type counting struct {
	io.Reader
	pieces *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.pieces.Add(1)
	}
	return n, err
}

func (w *wire) once(mangle func([]byte) []byte) { w.mangle.Store(&mangle) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// An answer that belongs to another question is refused, whatever it says, and the connection mends itself.
func TestRedisAnswersOutOfOrder(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	w := newWire(t, server, l)
	s := connect(t, server, func(c *store.RedisConfig) { c.Addr = l.Addr().String() })
	r, other := put(t, s), put(t, s)
	strays := map[string]string{
		"another's absence": fmt.Sprintf("*2\r\n$32\r\n%s\r\n$4\r\nnone\r\n", other.JTI),
		"another's record":  fmt.Sprintf("*5\r\n$32\r\n%s\r\n$2\r\nok\r\n$4\r\nblob\r\n$1\r\n0\r\n$3\r\nabc\r\n", other.JTI),
		"a simple string":   "+OK\r\n",
		"nothing":           "$-1\r\n",
		"an empty array":    "*0\r\n",
		"an array of nil":   "*2\r\n$-1\r\n$-1\r\n",
		"half an answer":    fmt.Sprintf("*2\r\n$32\r\n%s\r\n$2\r\nok\r\n", r.JTI),
		"an unknown status": fmt.Sprintf("*2\r\n$32\r\n%s\r\n$2\r\nno\r\n", r.JTI),
		"no protocol":       "HTTP/1.1 400 Bad Request\r\n\r\n",
	}
	for name, stray := range strays {
		w.once(func(reply []byte) []byte { return append([]byte(stray), reply...) })
		_, err := s.Take(t.Context(), r.JTI)
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s first: got %v, want ErrUnavailable", name, err)
		}
		if got, err := s.Take(t.Context(), r.JTI); err != nil || string(got.Blob) != string(r.Blob) {
			t.Errorf("after %s: got %q, %v, want %q", name, got.Blob, err, r.Blob)
		}
	}
}

// A write whose answer was lost has run once, and is not sent again.
func TestRedisWritesAreNotRepeated(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	w := newWire(t, server, l)
	s := connect(t, server, func(c *store.RedisConfig) { c.Addr = l.Addr().String() })
	r := put(t, s)
	enrol(t, s)
	cut := func([]byte) []byte { return nil }
	for what, write := range map[string]func() error{
		"put": func() error { return s.Put(t.Context(), storetest.NewRecord(), store.Quota{}) },
		"revoke": func() error {
			_, err := s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0)
			return err
		},
		"swap": func() error { return s.SwapState(t.Context(), newName(), 0, []byte("x")) },
	} {
		_ = write() // so that Redis has the script
		server.ResetCommands()
		w.once(cut)
		if err := write(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", what, err)
		}
		if c := server.Commands(); c["evalsha"] != 1 || c["eval"] != 0 {
			t.Errorf("%s: Redis ran %d evalsha and %d eval, want 1 and 0", what, c["evalsha"], c["eval"])
		}
	}
}

func newName() string { return storetest.NewRecord().JTI }

// A caller who leaves does so at once, also while its command is with Redis; what it asked is done all the same.
func TestRedisCallerLeaves(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := storetest.StartRedis(t)
	w := newWire(t, server, l)
	s := connect(t, server, func(c *store.RedisConfig) { c.Addr, c.Timeout = l.Addr().String(), time.Hour })
	r := put(t, s)
	storetest.Revoke(t, s, newName()) // so that Redis has the script
	answered, release := make(chan struct{}), make(chan struct{})
	w.once(func(reply []byte) []byte {
		close(answered)
		<-release
		return reply
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-answered
		cancel()
	}()
	_, err := s.Revoke(ctx, 0, author, "", number(2, store.KindToken, r.JTI), 0)
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("revoke by a caller who left: got %v, want ErrUnavailable and context.Canceled", err)
	}
	close(release)
	if _, err := s.Take(t.Context(), r.JTI); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("take after it: got %v, want ErrNotFound", err)
	}
}

func TestRedisClosed(t *testing.T) {
	t.Parallel()
	s := connect(t, storetest.StartRedis(t))
	r := put(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, s, r, "closed")
}

func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	// httptest has a certificate for 127.0.0.1; its server itself is not used.
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	l := tls.NewListener(listen(t), &tls.Config{Certificates: certified.TLS.Certificates})
	server := storetest.StartRedis(t)
	newWire(t, server, l)
	over := func(c *tls.Config) *store.Redis {
		return connect(t, server, func(rc *store.RedisConfig) { rc.Addr, rc.TLS = l.Addr().String(), c })
	}
	put(t, over(&tls.Config{RootCAs: roots}))
	for name, s := range map[string]*store.Redis{
		"no TLS": over(nil), "an unknown root": over(&tls.Config{}), "another name": over(&tls.Config{RootCAs: roots, ServerName: "other.test"}),
	} {
		if name == "no TLS" {
			s = connect(t, server, func(rc *store.RedisConfig) { rc.Addr, rc.Timeout = l.Addr().String(), testTimeout/20 })
		}
		if err := s.Put(t.Context(), storetest.NewRecord(), store.Quota{}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
