package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/revocation"
)

// ticks is an answer that goes on until its reader goes away, which ended then tells.
func ticks(ended chan<- struct{}, header http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		ended <- struct{}{}
	}
}

// socketTicks is the same for a WebSocket.
func socketTicks(ended chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for ; err == nil; time.Sleep(10 * time.Millisecond) {
			_, err = io.WriteString(conn, "data: x\n\n")
		}
		ended <- struct{}{}
	}
}

// flowing sends a request and reads some of an answer that does not end.
func (h *house) flowing(text string, lines int) (*http.Response, *bufio.Reader) {
	h.t.Helper()
	_, r := h.begin(text)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusSwitchingProtocols {
		r = bufio.NewReader(res.Body)
	}
	for range lines {
		if _, err := r.ReadString('\n'); err != nil {
			h.t.Fatalf("a stream of %d ended early: %v", res.StatusCode, err)
		}
	}
	return res, r
}

// broken expects that what is read ends, and not as a whole answer does.
func (h *house) broken(res *http.Response, r io.Reader) {
	h.t.Helper()
	_, err := io.Copy(io.Discard, r)
	if wait, ok := errors.AsType[net.Error](err); ok && wait.Timeout() || res.StatusCode == 200 && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.t.Errorf("the answer of %d ended with %v, want it broken off", res.StatusCode, err)
	}
}

func (g grant) upgrade() string {
	return strings.Replace(g.get("/socket"), "\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 1)
}

// A WebSocket and a stream of events outlive the request's deadline, and are closed on both sides when their token or its
// client is revoked, when it expires, and a grace after the log was last heard.
func TestStreamsEndWithTheirGrant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		life             time.Duration
		happens          func(h *house, g grant)
		decision, reason string
	}{
		"its token is revoked":  {time.Hour, func(h *house, g grant) { h.revoke(revocation.Token, g.jti) }, "allow", "revoked"},
		"its client is revoked": {time.Hour, func(h *house, _ grant) { h.revoke(revocation.Client, "clienthandle") }, "allow", "revoked"},
		"its token expires":     {3 * time.Second, func(*house, grant) {}, "allow", "expired"},
		"the log is not heard":  {time.Hour, func(h *house, _ grant) { h.records.away.Store(true) }, "error", "lease_lost"},
	} {
		for _, socket := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newHouseUnder(t, shortLease, 300*time.Millisecond, func(c *gateway.Config) { c.RequestTimeout = 300 * time.Millisecond })
				g, ended := h.issue(map[string][]string{"orders-api": {"orders:read"}}, c.life), make(chan struct{}, 1)
				ask, answer := g.get("/orders/1"), ticks(ended, http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}})
				if socket {
					ask, answer = g.upgrade(), socketTicks(ended)
				}
				h.service.answers(answer)
				res, r := h.flowing(ask, 2*50)
				c.happens(h, g)
				h.broken(res, r)
				soon(t, ended)
				h.logged(0, c.decision, c.reason)
			})
		}
	}
}

// A download that takes longer than a second is cut like a stream, with or without a length, however it is asked for.
func TestLongDownloadIsCut(t *testing.T) {
	t.Parallel()
	for _, header := range []http.Header{nil, {"Content-Length": {"1000000"}}} {
		h := newHouseUnder(t, shortLease, 0)
		g, ended := h.full(), make(chan struct{}, 1)
		h.service.answers(ticks(ended, header))
		res, r := h.flowing(g.get("/orders/1"), 2)
		h.revoke(revocation.Token, g.jti)
		h.broken(res, r)
		soon(t, ended)
		h.logged(0, "allow", "revoked")
	}
}

// An upload too: its upstream never gets the rest, and its client is told as on a new request.
func TestLongUploadIsCut(t *testing.T) {
	t.Parallel()
	to, first, came := tap(t)
	h := newHouseUnder(t, shortLease, 0, target(to))
	g := h.full()
	conn, r := h.begin(g.post("/orders", "Content-Length: 100000", "begin"))
	soon(t, first)
	h.revoke(revocation.Token, g.jti)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
			_, err = io.WriteString(conn, "more")
		}
	}()
	if a := h.read(r, "POST"); a.code() != "invalid_token" {
		t.Errorf("upload: %d %s, want invalid_token", a.status, a.body)
	}
	_ = conn.Close()
	<-done
	if got := soon(t, came); !strings.Contains(got, "begin") || len(got) > 50_000 {
		t.Errorf("upstream got %d bytes, want the beginning and no more", len(got))
	}
	h.logged(0, "allow", "revoked")
}

// Who has waited for more than a second, and is then not live, gets the answer that a new request would get.
func TestLongWaitIsCut(t *testing.T) {
	t.Parallel()
	for reason, c := range map[string]struct {
		happens  func(*house, grant)
		status   int
		decision string
	}{
		"revoked":    {func(h *house, g grant) { h.revoke(revocation.Token, g.jti) }, 401, "allow"},
		"lease_lost": {func(h *house, _ grant) { h.records.away.Store(true) }, 503, "error"},
	} {
		to, first, came := tap(t)
		h := newHouseUnder(t, shortLease, 300*time.Millisecond, target(to))
		g := h.full()
		_, r := h.begin(g.get("/orders/1"))
		soon(t, first)
		c.happens(h, g)
		a := h.read(r, "GET")
		if a.status != c.status || (a.header.Get("Retry-After") == "") == (c.status == 503) {
			t.Errorf("%s: %d %s with Retry-After %q, want %d", reason, a.status, a.body, a.header.Get("Retry-After"), c.status)
		}
		h.logged(0, c.decision, reason)
		if got := soon(t, came); !strings.HasPrefix(got, "GET /orders/1 ") {
			t.Errorf("%s: upstream got %q, want the request", reason, got)
		}
	}
}

// A request that is over within a second is not cut: what was decided while its token lived is carried out.
func TestShortRequestIsCarriedOut(t *testing.T) {
	t.Parallel()
	for took := 1000.0; took >= 1000; { // on a machine that is too busy it may be a long one
		h := newHouseUnder(t, shortLease, 0)
		g, busy := h.full(), newDoor(t)
		h.service.answers(func(http.ResponseWriter, *http.Request) { busy.pass() })
		_, r := h.begin(g.get("/orders/1"))
		soon(t, busy.arrived)
		h.revokeHeard(revocation.Token, g.jti, g)
		busy.unlock()
		a := h.read(r, "GET")
		if took, _ = h.log.entry(t, 0)["duration_ms"].(float64); took < 1000 && a.status != 200 {
			t.Errorf("revoked when it was under way: %d %s, want 200", a.status, a.body)
		}
	}
}

// A client that does not read, and so holds up whoever writes to it, loses its WebSocket all the same.
func TestSocketThatIsNotReadIsCut(t *testing.T) {
	t.Parallel()
	h := newHouseUnder(t, shortLease, 0)
	g, full := h.full(), make(chan struct{})
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		flood := make([]byte, 1<<20)
		for err == nil || errors.Is(err, io.ErrShortWrite) {
			_ = conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, err = conn.Write(flood)
		}
		close(full)
		_, _ = conn.Read(flood) // until it is closed
		_ = conn.Close()
	})
	h.begin(g.upgrade())
	soon(t, full)
	h.revoke(revocation.Token, g.jti)
	h.logged(0, "allow", "revoked")
}

// Whatever way a stream ends, nobody watches it afterwards. This test is alone, for it looks at all goroutines.
func TestNoWatchOutlivesItsStream(t *testing.T) {
	h := newHouseUnder(t, shortLease, 0)
	ended := make(chan struct{}, 20)
	h.service.answers(ticks(ended, http.Header{"Content-Type": {"text/event-stream"}}))
	kept, lost := h.full(), h.full()
	var conns []net.Conn
	for n := range 20 {
		conn, r := h.begin([]grant{kept, lost}[n%2].get("/orders/1"))
		if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("stream %d began with %q, %v", n, line, err)
		}
		conns = append(conns, conn)
	}
	eventually(t, "20 streams are watched", func() bool { return watches() == 20 })
	h.revoke(revocation.Token, lost.jti)
	eventually(t, "10 streams are watched", func() bool { return watches() == 10 })
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "no stream is watched", func() bool { return watches() == 0 })
	for range 20 {
		soon(t, ended)
	}
}

func watches() int {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	return strings.Count(b.String(), "gateway.(*visit).watch in goroutine")
}
