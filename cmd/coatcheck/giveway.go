package main

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// The admin listener must be open to the operator whatever anybody else does who can reach it, which is every process of
// this machine when it listens on loopback. So nobody is refused there: when maxStrangers connections are open on which no
// known token has come, the oldest of them is closed for the newest. To keep an operator out somebody has to open that many
// between the operator's connection and the token on it, which follows at once.
const (
	maxStrangers = 4_096
	adminIdle    = 5 * time.Second // between two requests of a known token; a stranger's connection ends with the answer
)

// givingWay is that listener.
type givingWay struct {
	net.Listener

	mu        sync.Mutex // guards strangers
	strangers list.List  // of *newcomer, the oldest first
}

// newcomer is a connection until a known token has come on it, or it has closed.
type newcomer struct {
	net.Conn
	among *givingWay
	place *list.Element // in among.strangers; removing it twice does nothing
}

func (l *givingWay) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	n := &newcomer{Conn: conn, among: l}
	l.mu.Lock()
	n.place = l.strangers.PushBack(n)
	var oldest *newcomer
	if l.strangers.Len() > maxStrangers {
		oldest, _ = l.strangers.Remove(l.strangers.Front()).(*newcomer)
	}
	l.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close() // nobody known was on it
	}
	return n, nil
}

// settle takes the connection from among those that give way.
func (n *newcomer) settle() {
	n.among.mu.Lock()
	defer n.among.mu.Unlock()
	n.among.strangers.Remove(n.place)
}

func (n *newcomer) Close() error {
	n.settle()
	return n.Conn.Close()
}

type newcomerKey struct{}

// giveWay has srv tell its handlers which connection a request came on, for settle, and wait less for the next one.
func giveWay(srv *http.Server) {
	srv.IdleTimeout = adminIdle
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if encrypted, ok := conn.(*tls.Conn); ok {
			conn = encrypted.NetConn()
		}
		return context.WithValue(ctx, newcomerKey{}, conn)
	}
}

// settle is for the context of a request with a known token: its connection does not give way any more.
func settle(ctx context.Context) {
	if n, ok := ctx.Value(newcomerKey{}).(*newcomer); ok {
		n.settle()
	}
}
