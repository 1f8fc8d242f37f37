package processtest

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreeAddress is a loopback address that nothing listens on: for a process whose address must be known before it
// starts, or be the same after a restart. It lies below the range from which Linux takes the local ports of
// outgoing connections (32768 and up), so that none of those gets in between.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var lc net.ListenConfig
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000)))
		l, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close %s: %v", addr, err)
		}
		return addr
	}
	t.Fatal("no free port found in 100 tries between 20000 and 32000")
	return ""
}
