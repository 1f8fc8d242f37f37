package main

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// maxPerPeer is how many connections of one listener one peer may hold (an address, a /64 of IPv6), so that sixteen
// are needed to fill it. A listener behind a balancer sees a single peer: it is exempt when it is trusted to say who
// its clients are.
const maxPerPeer = 1_024

// peerListener closes connections beyond maxPerPeer as they come in, before anything is read from them.
type peerListener struct {
	net.Listener
	exempt []netip.Prefix

	mu   sync.Mutex // guards open
	open map[netip.Addr]int
}

func perPeer(l net.Listener, exempt []netip.Prefix) *peerListener {
	return &peerListener{Listener: l, exempt: exempt, open: map[netip.Addr]int{}}
}

func (l *peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, counted := l.peer(conn.RemoteAddr())
		switch {
		case !counted:
			return conn, nil
		case l.enter(peer):
			return &peerConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(peer) })}, nil
		}
		_ = conn.Close() // nothing has been said on it
	}
}

// peer is what a connection is counted by; false: it is not counted.
func (l *peerListener) peer(a net.Addr) (netip.Addr, bool) {
	from, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}, false // no TCP listener has such
	}
	addr := from.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(l.exempt, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return netip.Addr{}, false
	}
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr, true
}

func (l *peerListener) enter(peer netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[peer] >= maxPerPeer {
		return false
	}
	l.open[peer]++
	return true
}

func (l *peerListener) leave(peer netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[peer]--; l.open[peer] == 0 {
		delete(l.open, peer)
	}
}

// peerConn leaves when it is closed first; net/http closes more than once.
type peerConn struct {
	net.Conn
	leave func()
}

func (c *peerConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
