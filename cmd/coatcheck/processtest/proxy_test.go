package processtest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// echo answers every line with the same line, on loopback.
func echo(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

type caller struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, addr string) caller {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return caller{conn, bufio.NewReader(conn)}
}

// ask sends a line and waits for it to come back.
func (c caller) ask(within time.Duration) error {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	return c.hear(within)
}

func (c caller) hear(within time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := c.lines.ReadString('\n')
	return err
}

// soon is long enough for what happens on loopback, and short enough to be waited out.
const soon = 100 * time.Millisecond

func TestProxyPartitionHoldsAndHealingDelivers(t *testing.T) {
	t.Parallel()
	for name, shut := range map[string]func(*processtest.Proxy){
		"both ways": (*processtest.Proxy).Partition,
		"replies":   (*processtest.Proxy).HoldReplies,
	} {
		p := processtest.NewProxy(t, echo(t))
		c := dial(t, p.Addr)
		if err := c.ask(processtest.Patience); err != nil {
			t.Fatalf("%s: before anything goes wrong: %v", name, err)
		}
		shut(p)
		if err := c.ask(soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: while partitioned: %v, want no answer and no reset", name, err)
		}
		late := dial(t, p.Addr)
		if err := late.ask(soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: a new connection while partitioned: %v, want no answer", name, err)
		}
		p.Heal()
		if err := c.hear(processtest.Patience); err != nil {
			t.Errorf("%s: after healing, what was asked before: %v", name, err)
		}
		if err := late.hear(processtest.Patience); err != nil {
			t.Errorf("%s: after healing, on the new connection: %v", name, err)
		}
	}
}

func TestProxyDelaysAndCuts(t *testing.T) {
	t.Parallel()
	p := processtest.NewProxy(t, echo(t))
	c := dial(t, p.Addr)
	p.Delay(150 * time.Millisecond)
	if err := c.ask(soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with 150 ms each way, an answer within %v: %v", soon, err)
	}
	if err := c.hear(processtest.Patience); err != nil {
		t.Errorf("with a delay, later: %v", err)
	}
	p.Delay(0)
	p.Cut()
	if err := c.hear(processtest.Patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a cut: %v, want a connection that has ended", err)
	}
	if err := dial(t, p.Addr).ask(processtest.Patience); err != nil {
		t.Errorf("a new connection after a cut: %v", err)
	}
}
