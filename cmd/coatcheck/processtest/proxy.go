package processtest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy is the way of one process to Redis, on which things go wrong: a delay, a cut, a partition. What it is told holds
// for the connections that are open and for those to come. It is safe for concurrent use.
type Proxy struct {
	Addr string // what the process takes for Redis

	target    string
	delay     atomic.Int64 // nanoseconds, each way
	there     gate         // towards Redis
	back      gate
	mu        sync.Mutex // guards links
	links     map[*link]bool
	listening net.Listener
}

// NewProxy opens a way to target; it ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("open a proxy to %s: %v", target, err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, links: map[*link]bool{}, listening: l}
	p.Heal()
	var serving sync.WaitGroup
	serving.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close() // it ends serve, that is all that matters
		serving.Wait()
		p.Cut()
		p.Heal() // lets go of whoever waits at a gate
	})
	return p
}

// Delay holds everything back by d on its way, in each direction, without changing its order.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Partition lets nothing through any more, and tells nobody: no answer, no reset. What was sent meanwhile arrives when the
// network heals, as TCP would send it again.
func (p *Proxy) Partition() { p.there.shut(); p.back.shut() }

// HoldReplies lets everything through to Redis, and nothing back: what was asked is done, and nobody learns of it.
func (p *Proxy) HoldReplies() { p.back.shut() }

// Heal ends Partition and HoldReplies.
func (p *Proxy) Heal() { p.there.open(); p.back.open() }

// Cut resets all connections that are open; new ones may be made.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

func (p *Proxy) serve() {
	for {
		conn, err := p.listening.Accept()
		if err != nil {
			return
		}
		go p.connect(conn)
	}
}

// connect reaches Redis when the way there is open; until then the process has a connection on which nothing happens.
func (p *Proxy) connect(from net.Conn) {
	l := &link{from: from, ended: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	defer func() {
		l.close()
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	if !p.there.wait(l.ended) {
		return
	}
	d := net.Dialer{Timeout: Patience}
	to, err := d.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return // Redis is away: the process sees its connection closed
	}
	defer func() { _ = to.Close() }() // a second time, mostly
	var both sync.WaitGroup
	both.Go(func() { p.carry(l, to, from, &p.there) })
	both.Go(func() { p.carry(l, from, to, &p.back) })
	<-l.ended
	_, _ = from.Close(), to.Close() // wakes the readers
	both.Wait()
}

// parcel is a piece of a stream, and when it may arrive.
type parcel struct {
	data []byte
	due  time.Time
}

// carry brings what it reads from one side to the other, late and through the gate. The end of the stream waits in line too.
func (p *Proxy) carry(l *link, to io.Writer, from io.Reader, through *gate) {
	line := make(chan parcel, 1024)
	go func() {
		defer close(line)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			select {
			case line <- parcel{buf[:n], time.Now().Add(time.Duration(p.delay.Load()))}:
			case <-l.ended:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer l.close()
	for c := range line {
		if !l.until(c.due) || !through.wait(l.ended) {
			return
		}
		if _, err := to.Write(c.data); err != nil {
			return
		}
	}
}

// link is one connection through the proxy.
type link struct {
	from  net.Conn
	once  sync.Once
	ended chan struct{}
}

func (l *link) close() {
	l.once.Do(func() {
		if tcp, ok := l.from.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset: the other side learns at once
		}
		close(l.ended)
		_ = l.from.Close() // it is gone either way
	})
}

// until waits for a moment; false: the link has ended.
func (l *link) until(due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-l.ended:
		return false
	}
}

// gate holds back whoever wants to pass while it is shut.
type gate struct {
	mu     sync.Mutex    // guards opened
	opened chan struct{} // closed while the gate is open; nil: it is shut for the first time
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.way():
	default:
		close(g.way())
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.way():
		g.opened = make(chan struct{})
	default:
	}
}

// way is opened; g.mu is held.
func (g *gate) way() chan struct{} {
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
	return g.opened
}

// wait returns true when the gate is open, false when ended is closed first.
func (g *gate) wait(ended <-chan struct{}) bool {
	g.mu.Lock()
	way := g.way()
	g.mu.Unlock()
	select {
	case <-way:
		return true
	case <-ended:
		return false
	}
}
