package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// queue is a listener whose connections come from the addresses in it, one after another.
type queue struct {
	net.Listener
	from   []string
	closed int
}

type from struct {
	net.Conn
	addr  string
	queue *queue
}

var errQueueEnds = errors.New("nobody waits")

func (q *queue) Accept() (net.Conn, error) {
	if len(q.from) == 0 {
		return nil, errQueueEnds
	}
	addr := q.from[0]
	q.from = q.from[1:]
	return from{addr: addr, queue: q}, nil
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }
func (f from) Close() error         { f.queue.closed++; return nil }

func times(n int, addr string) (all []string) {
	for range n {
		all = append(all, addr)
	}
	return all
}

// TestOnePeerCannotHoldAListener: its connections beyond maxPerPeer are closed as they come, others get in, and so does it
// again when it has closed one.
func TestOnePeerCannotHoldAListener(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		full, same, other string // same counts as full, other does not
	}{
		"IPv4":                   {"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
		"IPv4 on an IPv6 socket": {"[::ffff:192.0.2.1]:1", "192.0.2.1:2", "[::ffff:192.0.2.2]:1"},
		"a /64 of IPv6":          {"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", "[2001:db8:0:1::1]:1"},
		"loopback":               {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.2:1"},
	} {
		q := &queue{from: append(times(maxPerPeer, c.full), c.same, c.full, c.other)}
		l := perPeer(q, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		var conn net.Conn
		for n := range maxPerPeer + 1 {
			var err error
			if conn, err = l.Accept(); err != nil {
				t.Fatalf("%s: connection %d: %v", name, n, err)
			}
		}
		if got := conn.RemoteAddr().String(); got != net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.other)).String() || q.closed != 2 {
			t.Errorf("%s: after %d connections comes %s with %d closed, want %s and 2", name, maxPerPeer, got, q.closed, c.other)
		}
		q.from = []string{c.other, c.full, c.same}
		if conn, _ = l.Accept(); conn == nil {
			t.Fatalf("%s: %s may not come twice", name, c.other)
		}
		if _, err := l.Accept(); !errors.Is(err, errQueueEnds) {
			t.Errorf("%s: it comes in once more: %v", name, err)
		}
	}
}

// TestServedListenersCountPeers: what is served is counted, beginning with a real address.
func TestServedListenersCountPeers(t *testing.T) {
	t.Parallel()
	listener, err := bind(t.Context(), "gateway", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := service{name: "gateway", listener: listener, handler: http.NotFoundHandler()}
	srv := s.server(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = accept(srv, s) }()
	var last net.Conn
	for n := range maxPerPeer + 1 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		last = conn
	}
	_ = last.SetDeadline(time.Now().Add(20 * time.Second)) // a TCP connection has deadlines
	_, _ = io.WriteString(last, "GET / HTTP/1.1\r\nHost: e\r\n\r\n")
	if n, err := last.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connection %d was served (%d bytes, %v), want it closed", maxPerPeer+1, n, err)
	}
}

// TestPeerThatLeavesMayComeAgain: once for each connection, however often that is closed.
func TestPeerThatLeavesMayComeAgain(t *testing.T) {
	t.Parallel()
	const peer = "192.0.2.1:1"
	q := &queue{from: times(maxPerPeer, peer)}
	l := perPeer(q, nil)
	var conns []net.Conn
	for range maxPerPeer {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	_, _ = conns[0].Close(), conns[0].Close()
	q.from = times(2, peer)
	if _, err := l.Accept(); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, errQueueEnds) {
		t.Errorf("two came for one that was closed twice: %v", err)
	}
	for _, conn := range conns[1:] {
		_ = conn.Close()
	}
	if l.open[netip.MustParseAddr("192.0.2.1")] != 1 {
		t.Errorf("%v are counted, want one", l.open)
	}
}

// TestTrustedProxiesAreNotCounted: a balancer is one peer for all clients.
func TestTrustedProxiesAreNotCounted(t *testing.T) {
	t.Parallel()
	l := perPeer(&queue{from: append(times(maxPerPeer, "10.1.2.3:1"), "[::ffff:10.1.2.3]:1")}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for n := range maxPerPeer + 1 {
		if _, err := l.Accept(); err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	if len(l.open) > 0 {
		t.Errorf("%v are counted", l.open)
	}
}

// TestTrustedProxiesStandForManyAtBothHalves: also where only an issuer runs.
func TestTrustedProxiesStandForManyAtBothHalves(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Replace: []string{"listen:\n", "listen:\n  trusted_proxies: [127.0.0.0/8]\n"}})
	lab.Up(client)
	for name, addr := range map[string]string{"gateway": lab.EdgeAddr, "issuer": lab.IssuerAddr} {
		for n := range maxPerPeer {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				t.Fatalf("%s: connection %d: %v", name, n, err)
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
		if a, err := client.Try("GET", "http://"+addr+"/nowhere", nil, ""); err != nil || a.Status < 400 {
			t.Errorf("%s: beside %d connections of a trusted proxy: %d, %v, want an answer", name, maxPerPeer, a.Status, err)
		}
	}
}
