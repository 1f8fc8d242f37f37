package gateway_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/revocation"
)

func (h *house) logged(n int, decision, reason string) {
	h.t.Helper()
	if e := h.log.entry(h.t, n); e["decision"] != decision || e["reason"] != reason {
		h.t.Errorf("log says %v, want %s, %s", e, decision, reason)
	}
}

// A reference that is revoked while its request waits for a slow dial is refused, and not a byte of it is sent.
func TestRevokedWhileDialing(t *testing.T) {
	t.Parallel()
	for _, kind := range []revocation.Kind{revocation.Token, revocation.Client} {
		to, _, came := tap(t)
		h := newHouseUnder(t, shortLease, 0, target(to))
		g, slow := h.full(), newDoor(t)
		h.edge.OnDial("orders", slow.pass)
		_, r := h.begin(g.get("/orders/1"))
		soon(t, slow.arrived)
		h.revokeHeard(kind, map[revocation.Kind]string{revocation.Token: g.jti, revocation.Client: "clienthandle"}[kind], g)
		slow.unlock()
		h.refused(h.read(r, "GET"), 401, "invalid_token")
		if got := soon(t, came); got != "" {
			t.Errorf("revoked by %s while dialing: upstream got %q, want nothing", kind, got)
		}
		h.logged(0, "deny", "unknown")
	}
}

// Nothing is left to chance: of many such requests, each with its own race between a cancellation and a writer, none gets
// a byte through.
func TestRevokedWhileManyDial(t *testing.T) {
	t.Parallel()
	const many = 200
	to, _, came := tap(t)
	h := newHouseUnder(t, shortLease, 0, target(to))
	g, slow := h.full(), newDoor(t)
	h.edge.OnDial("orders", slow.pass)
	var answers []*bufio.Reader
	for range many {
		_, r := h.begin(g.get("/orders/1"))
		answers = append(answers, r)
	}
	for range many {
		soon(t, slow.arrived)
	}
	h.revokeHeard(revocation.Token, g.jti, g)
	slow.unlock()
	written := 0
	for _, r := range answers {
		if a := h.read(r, "GET"); a.code() != "invalid_token" {
			t.Errorf("%d %s, want invalid_token", a.status, a.body)
		}
		if soon(t, came) != "" {
			written++
		}
	}
	if written > 0 {
		t.Errorf("%d of %d requests reached the upstream, want none", written, many)
	}
}

// The same, in a queue for a connection that another request has.
func TestRevokedWhileQueuedForAConnection(t *testing.T) {
	t.Parallel()
	h := newHouseUnder(t, shortLease, 0)
	h.edge.OneConnection("orders")
	first, second, busy := h.full(), h.full(), newDoor(t)
	h.service.answers(func(http.ResponseWriter, *http.Request) { busy.pass() })
	_, one := h.begin(first.get("/orders/1"))
	soon(t, busy.arrived)
	_, two := h.begin(second.get("/orders/2"))
	eventually(t, "the second request has been swapped", func() bool { return h.records.takes.Load() >= 2 })
	h.revokeHeard(revocation.Token, second.jti, second)
	busy.unlock()
	if a := h.read(one, "GET"); a.status != 200 {
		t.Errorf("the request before it: %d %s, want 200", a.status, a.body)
	}
	if a := h.read(two, "GET"); a.code() != "invalid_token" {
		t.Errorf("revoked in the queue: %d %s, want invalid_token", a.status, a.body)
	}
	h.one() // the first
	if a := h.get("/orders/3", bearer(first.reference)); a.status != 200 {
		t.Errorf("after it: %d %s, want 200: the next request gets a connection", a.status, a.body)
	}
}

// H16: an upstream that drops an idle connection makes net/http try again on another: that takes another decision.
func TestH16_RevokedBeforeTheTransportTriesAgain(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{false, true} {
		drops := newDropper(t)
		h := newHouseUnder(t, shortLease, 0, target(drops.url))
		g, slow := h.full(), newDoor(t)
		if a := h.get("/orders/1", bearer(g.reference)); a.status != 200 {
			t.Fatalf("the request that leaves an idle connection: %d %s", a.status, a.body)
		}
		h.edge.OnDial("orders", slow.pass)
		_, r := h.begin(g.get("/orders/2"))
		soon(t, slow.arrived) // the second time
		if revoked {
			h.revokeHeard(revocation.Token, g.jti, g)
		}
		slow.unlock()
		a := h.read(r, "GET")
		if want := map[bool]string{false: "/orders/1 /orders/2 /orders/2", true: "/orders/1 /orders/2"}[revoked]; drops.targets() != want {
			t.Errorf("revoked %v: upstream got %q, want %q", revoked, drops.targets(), want)
		}
		if revoked && a.code() != "invalid_token" || !revoked && a.status != 200 {
			t.Errorf("revoked %v: %d %s", revoked, a.status, a.body)
		}
	}
}

// A lease that ends before the header is written takes its decision with it: the store is asked, and if that cannot tell
// the answer is a 503 with Retry-After, for the reference may well be live.
func TestLeaseEndsBeforeTheHeaderIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(h *house, g grant)
		status  int
		reason  string
	}{
		"the store is away":   {func(h *house, g grant) { h.outdate(g, func() { h.records.away.Store(true) }) }, 503, "unavailable"},
		"the store is closed": {func(h *house, g grant) { h.outdate(g, h.records.Restart) }, 503, "closed"},
		"the log alone is away": {func(h *house, _ grant) {
			h.records.deaf.Store(true)
			eventually(h.t, "the lease ends", func() bool { return h.follower.Ready() != nil })
		}, 200, "swapped"},
		"nothing happens": {func(*house, grant) {}, 200, "swapped"},
	} {
		h := newHouseUnder(t, shortLease, 0)
		g, slow := h.full(), newDoor(t)
		h.edge.OnDial("orders", slow.pass)
		_, r := h.begin(g.get("/orders/1"))
		soon(t, slow.arrived)
		c.happens(h, g)
		slow.unlock()
		a := h.read(r, "GET")
		if a.status != c.status || (a.header.Get("Retry-After") == "") == (c.status == 503) {
			t.Errorf("%s: %d %s with Retry-After %q, want %d", name, a.status, a.body, a.header.Get("Retry-After"), c.status)
		}
		if e := h.log.entry(t, 0); e["reason"] != c.reason {
			t.Errorf("%s: log says %v, want reason %s", name, e, c.reason)
		}
		if sent := len(h.service.requests()); (sent == 1) != (c.status == 200) {
			t.Errorf("%s: upstream got %d requests", name, sent)
		}
	}
}

// A process that stands still between the answer and the write decides anew: here it stands still in the clock, for longer
// than the lease.
func TestDecisionThatHasBecomeOldIsTakenAgain(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := &house{t: t, records: newRecords()}
			h.follow(500*time.Millisecond, 0)
			h.openExchange()
			g := h.full()
			p, _, err := h.exchange.Swap(t.Context(), g.reference, exchange.Leased)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			err = gateway.Dispatch(t.Context(), p, func() int64 {
				if asked++; asked == 1 {
					if revoked {
						h.revoke(revocation.Token, g.jti)
					}
					time.Sleep(time.Second)
				}
				return 0
			})
			if errors.Is(err, exchange.ErrInactive) != revoked || (err == nil) == revoked || !revoked && asked != 2 {
				t.Errorf("revoked in a pause %v: %v after %d yeses", revoked, err, asked)
			}
			asked = 0
			if err = gateway.Dispatch(t.Context(), p, func() int64 { asked++; time.Sleep(time.Second); return 0 }); err == nil || !revoked && asked != 3 {
				t.Errorf("pauses without end: %v after %d yeses, want an error after 3", err, asked)
			}
		})
	}
}

// An upstream that answers before it was asked is not heard: its 101 would open a tunnel past the decision.
func TestAnswerBeforeTheDecisionIsABadGateway(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		h := newHouseUnder(t, shortLease, 0)
		up := newEarly(t, text)
		h.edge.Redirect("orders", up.url)
		g, slow, answer := h.full(), newDoor(t), make(chan struct{})
		h.edge.OnDial("orders", slow.pass)
		_, r := h.begin(strings.Replace(g.get("/socket"), "\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 1))
		soon(t, slow.arrived)
		h.outdate(g, func() { h.records.deaf.Store(true); h.records.away.Store(true) }) // so the decision has to ask
		h.records.held.Store(&answer)
		h.records.away.Store(false)
		before := h.records.takes.Load()
		slow.unlock()
		eventually(t, "the decision waits", func() bool { return h.records.takes.Load() > before })
		close(up.speak)
		if a := h.read(r, "GET"); a.code() != "upstream_error" {
			t.Errorf("%.12s before the request: %d %s, want upstream_error", text, a.status, a.body)
		}
		close(answer)
		if got := soon(t, up.came); got != "" {
			t.Errorf("%.12s before the request: upstream got %q, want nothing", text, got)
		}
	}
}

// Below TLS the gate stands before the record that holds the request.
func TestGateHoldsUnderTLS(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{false, true} {
		h := newHouseUnder(t, shortLease, 0)
		secure, roots := newTLSService(t)
		h.edge.Redirect("orders", secure.url())
		h.edge.Trust("orders", &tls.Config{RootCAs: roots})
		h.service = secure
		g, slow := h.full(), newDoor(t)
		h.edge.OnDial("orders", slow.pass)
		_, r := h.begin(g.get("/orders/1"))
		soon(t, slow.arrived)
		if revoked {
			h.revokeHeard(revocation.Token, g.jti, g)
		}
		slow.unlock()
		a := h.read(r, "GET")
		if revoked {
			h.refused(a, 401, "invalid_token")
		} else if h.one(); a.status != 200 {
			t.Errorf("not revoked: %d %s, want 200", a.status, a.body)
		}
	}
}

// A connection that cannot hold a decision carries no request, and says whose fault that is.
func TestUngatedConnectionIsABug(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.edge.Unguard("orders")
	h.refused(h.get("/orders/1", bearer(h.full().reference)), 500, "internal_error")
	if a := h.get("/docs/1"); a.status != 200 {
		t.Errorf("public route: %d, want 200: there is nothing to decide", a.status)
	}
	if !strings.Contains(h.log.String(), "cannot hold a decision") {
		t.Errorf("log does not say what is wrong: %s", h.log)
	}
}

// A strict route asks the store for each request: it knows of a revocation at once, where others know within a lease.
func TestStrictRouteAsksTheStoreEachTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t) // whose lease does not end
	g := h.full()
	for n, path := range []string{"/any", "/strict", "/any", "/strict", "/strict"} {
		before := h.records.takes.Load()
		if a := h.get(path, bearer(g.reference)); a.status != 200 {
			t.Fatalf("request %d, %s: %d %s", n, path, a.status, a.body)
		}
		if asked := h.records.takes.Load() - before; (asked == 1) != (path == "/strict" || n == 0) {
			t.Errorf("request %d, %s: the store was asked %d times", n, path, asked)
		}
	}
	h.service.seen = nil
	h.revoke(revocation.Token, g.jti)
	h.refused(h.get("/strict", bearer(g.reference)), 401, "invalid_token")
	h.records.away.Store(true)
	if a := h.get("/strict", bearer(g.reference)); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("without the store: %d with Retry-After %q, want 503", a.status, a.header.Get("Retry-After"))
	}
	h.nothing()
}

// A closed shard, like a store that is away, says nothing about a reference: its clients keep theirs, and come again.
func TestB7_ClosedShardIs503(t *testing.T) {
	t.Parallel()
	h := newHouseUnder(t, shortLease, 0)
	known, unknown := h.full(), h.full()
	if a := h.get("/orders/1", bearer(known.reference)); a.status != 200 {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	h.one()
	h.outdate(known, h.records.Restart)
	for n, g := range []grant{known, unknown} {
		a := h.get("/orders/1", bearer(g.reference))
		h.refused(a, 503, "temporarily_unavailable")
		if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("header %v, want Retry-After and no challenge", a.header)
		}
		h.logged(n+1, "error", "closed")
	}
}
