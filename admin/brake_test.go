package admin

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWrongTokensAreBraked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		for range wrongBurst {
			wantProblem(t, "within the measure", k.call("GET", "/v1/tokens", "", "Bearer wrong"), 401, "token_required")
		}
		w := k.call("GET", "/v1/tokens", "", "Bearer wrong")
		wantProblem(t, "over the measure", w, 429, "too_many_wrong_tokens")
		if got := w.Header().Get("Retry-After"); got != "6" {
			t.Errorf("Retry-After %q, want 6", got)
		}
		// Neither the operator at that address nor anybody else is kept out.
		if w := k.call("GET", "/v1/tokens", "", "Bearer "+readerSecret); w.Code != 200 {
			t.Errorf("a right token from a braked address: %d, want 200", w.Code)
		}
		time.Sleep(wrongEvery)
		wantProblem(t, "after a while", k.call("GET", "/v1/tokens", "", "Bearer wrong"), 401, "token_required")
		wantProblem(t, "and over again", k.call("GET", "/v1/tokens", "", "Bearer wrong"), 429, "too_many_wrong_tokens")
	})
}

func TestBrakeCountsByAddress(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBrake()
	empty := func(from string) {
		for range wrongBurst {
			b.wrong(netip.MustParseAddr(from), now)
		}
	}
	braked := func(from string) bool { return b.wrong(netip.MustParseAddr(from), now).wait > 0 }
	empty("192.0.2.1")
	empty("2001:db8::1")
	if !braked("192.0.2.1") || braked("192.0.2.2") {
		t.Error("an IPv4 address is not counted alone")
	}
	if !braked("2001:db8::ffff:1") || braked("2001:db8:0:1::1") {
		t.Error("IPv6 addresses are not counted by /64")
	}
}

func TestBrakeIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBrake()
	flood := func(first int) {
		for n := range 4 * maxAddresses {
			b.wrong(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", first, n/256, n%256)), now)
		}
	}
	flood(1)
	if n := len(b.by); n > maxAddresses+1 {
		t.Errorf("%d addresses remembered, want at most %d and the shared one", n, maxAddresses)
	}
	now = now.Add(wrongBurst * wrongEvery)
	flood(2)
	if n := len(b.by); n > maxAddresses+1 {
		t.Errorf("%d addresses remembered after a second flood, want at most %d and the shared one", n, maxAddresses)
	}
}

// TestFloodOfWrongTokensIsToldBriefly: one line a second for each address, and none of the calls is lost from the count.
func TestFloodOfWrongTokensIsToldBriefly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		const flood = 500
		for range 3 {
			for range flood {
				k.call("GET", "/v1/tokens", "", "Bearer wrong")
			}
			time.Sleep(tellEvery)
		}
		k.call("GET", "/v1/tokens", "", "Bearer wrong")
		if got, want := strings.Count(k.log.String(), "\n"), wrongBurst+4; got != want {
			t.Errorf("%d wrong tokens in three seconds have %d lines, want %d", 3*flood, got, want)
		}
		untold := 0
		for _, line := range strings.Split(strings.TrimSpace(k.log.String()), "\n") {
			var l struct{ Untold int }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("log line %q: %v", line, err)
			}
			untold += l.Untold
		}
		if got, want := untold+wrongBurst+4, 3*flood+1; got != want {
			t.Errorf("the lines tell of %d calls, want %d", got, want)
		}
	})
}
