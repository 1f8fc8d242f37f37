package issuer

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Every path counts for an address, and over its measure nothing of a request is looked at.
func TestAddressesAreMeasuredOnEveryPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *Config) { c.AddressRate, c.AddressBurst = 1, 4 })
		send := func(address, path string) *httptest.ResponseRecorder {
			return k.postFrom(t, address, path, shop("token", "x"))
		}
		for _, path := range []string{k.place.tokenPath(), k.place.revokePath(), k.place.jwksPath(), "/nowhere"} {
			if w := send("2001:db8::1", path); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s: %s, want it let in", path, w.Body)
			}
		}
		for _, path := range []string{k.place.tokenPath(), k.place.revokePath(), k.place.jwksPath(), k.place.metadataPath(), "/nowhere"} {
			w := send("2001:db8::2", path) // the same /64
			wantRefusal(t, path, w, 429, "temporarily_unavailable")
			if got := w.Header().Get("Retry-After"); got != "1" {
				t.Errorf("%s: Retry-After %q, want 1", path, got)
			}
		}
		if w := send("2001:db8:0:1::1", k.place.tokenPath()); w.Code != http.StatusOK {
			t.Errorf("another network: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Second)
		if w := send("2001:db8::3", k.place.tokenPath()); w.Code != http.StatusOK {
			t.Errorf("a second later: %d %s", w.Code, w.Body)
		}
	})
}

// Who speaks through a proxy that does not say for whom is not measured: all of them would share one measure.
func TestWhoIsNotKnownIsNotMeasured(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) {
		c.AddressRate, c.AddressBurst = 0.001, 1
		c.Address = func(r *http.Request) netip.Addr {
			a, _ := netip.ParseAddr(r.Header.Get("X-From"))
			return a
		}
	})
	for range 10 {
		k.token(t, shop())
	}
	from := http.Header{"X-From": {"198.51.100.1"}}
	if first, second := k.post(t, shop(), from), k.post(t, shop(), from); first.Code != 200 || second.Code != 429 {
		t.Errorf("two of an address: %d, %d; want 200, 429", first.Code, second.Code)
	}
	if !strings.Contains(k.log.String(), `"address":"198.51.100.1"`) || strings.Contains(k.log.String(), "192.0.2.1") {
		t.Errorf("the log names another address than the caller's: %s", k.log)
	}
}

// Each client has its measure over all endpoints together; over it nothing is compared, and nobody else can use it up.
func TestClientsAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *Config) { c.ClientRate, c.ClientBurst = 1, 2 })
		for range 10 { // who has not proved anything uses up nothing
			wantRefusal(t, "wrong secret", k.post(t, shop("client_secret", "wrong-secret-0123456789"), nil), 401, "invalid_client")
		}
		k.token(t, shop())
		wantRevoked(t, "the second", k.postRevoke(t, revocationOf("x"), nil))
		for _, secret := range []string{shopSecret, "wrong-secret-0123456789"} {
			w := k.post(t, shop("client_secret", secret), nil)
			wantRefusal(t, "the third", w, 429, "temporarily_unavailable")
			if got := w.Header().Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After %q, want 1", got)
			}
		}
		k.token(t, shop("client_id", "single"))
		time.Sleep(time.Second)
		k.token(t, shop())
	})
}

// Anybody can say that he is a public client, so each address has a measure of it.
func TestPublicClientsAreMeasuredByAddress(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) { c.ClientRate, c.ClientBurst = 0.001, 1 })
	send := func(address string) int {
		return k.postFrom(t, address, k.place.tokenPath(), byPerson("public", "")).Code
	}
	if first, second, elsewhere := send("198.51.100.1"), send("198.51.100.1"), send("198.51.100.2"); first != 400 || second != 429 || elsewhere != 400 {
		t.Errorf("public client: %d, %d, and from elsewhere %d; want 400 (no such grant), 429, 400", first, second, elsewhere)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	many := http.Header{}
	for n := range 101 {
		many["X-"+strings.Repeat("a", n+1)] = []string{"x"}
	}
	for what, h := range map[string]http.Header{
		"101 lines":              many,
		"five Accept":            {"Accept": {"a/b", "a/b", "a/b", "a/b", "a/b"}},
		"five Authorization":     {"Authorization": {"a", "b", "c", "d", "e"}},
		"a long Accept":          {"Accept": {strings.Repeat("a/b,", 3000)}},
		"a long If-None-Match":   {"If-None-Match": {strings.Repeat("x", maxLine+1)}},
		"100 lines of one field": {"X-A": make([]string, 101)},
	} {
		wantRefusal(t, what+" at the token endpoint", k.post(t, shop(), h), 431, "invalid_request")
		wantRefusal(t, what+" at the key set", k.get(t, k.place.jwksPath(), h), 431, "invalid_request")
	}
	k.token(t, shop())
}
