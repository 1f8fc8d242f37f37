package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/gateway"
)

// door holds up what passes it, once it is shut.
type door struct {
	arrived chan struct{} // somebody stands before it
	open    chan struct{}
	once    sync.Once
}

func newDoor(t *testing.T) *door {
	d := &door{arrived: make(chan struct{}, 16), open: make(chan struct{})}
	t.Cleanup(d.unlock)
	return d
}

func (d *door) pass()   { d.arrived <- struct{}{}; <-d.open }
func (d *door) unlock() { d.once.Do(func() { close(d.open) }) }

// tap is an upstream that never answers. Of each connection it tells that something has come, and in the end all that has.
func tap(t *testing.T) (to *url.URL, first <-chan struct{}, came <-chan string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	begun, all := make(chan struct{}, 1024), make(chan string, 1024)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				start := make([]byte, 4096)
				n, _ := c.Read(start)
				begun <- struct{}{}
				rest, _ := io.ReadAll(c)
				all <- string(start[:n]) + string(rest)
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, begun, all
}

// soon is what comes through a channel, in ten seconds at most.
func soon[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("something that should have happened has not")
	}
	return v
}

func target(u *url.URL) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Upstreams["orders"] = gateway.Upstream{Targets: []*url.URL{u}} }
}

// begin sends a request and leaves its answer for later.
func (h *house) begin(text string) (net.Conn, *bufio.Reader) {
	h.t.Helper()
	conn, r := h.dial()
	h.write(conn, text)
	return conn, r
}

func (g grant) get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: e\r\n" + bearer(g.reference) + "\r\n\r\n"
}

func (g grant) post(path, header, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: e\r\n" + bearer(g.reference) + "\r\n" + header + "\r\n\r\n" + body
}

// dropper answers the first request of each connection, and closes it on the second.
type dropper struct {
	url *url.URL
	mu  sync.Mutex // guards got
	got []string
}

func newDropper(t *testing.T) *dropper {
	d := &dropper{}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d.url = &url.URL{Scheme: "http", Host: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(c)
		}
	}()
	return d
}

func (d *dropper) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for br, n := bufio.NewReader(c), 0; n < 2; n++ {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		d.mu.Lock()
		d.got = append(d.got, r.RequestURI)
		d.mu.Unlock()
		if n == 0 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func (d *dropper) targets() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.got, " ")
}

// early is an upstream that speaks when it is told, whatever it was asked.
type early struct {
	url   *url.URL
	speak chan struct{}
	came  chan string
}

func newEarly(t *testing.T, text string) *early {
	e := &early{speak: make(chan struct{}), came: make(chan string, 1)}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	e.url = &url.URL{Scheme: "http", Host: l.Addr().String()}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		<-e.speak
		_, _ = io.WriteString(c, text)
		b, _ := io.ReadAll(c)
		e.came <- string(b)
	}()
	return e
}
