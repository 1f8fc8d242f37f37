package issuer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// postFrom sends a form from an address.
func (k *kit) postFrom(t testing.TB, address, path string, f url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1234).String()
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	return w
}

func byPerson(id, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
}

// One attacker sends wrong secrets of one client as fast as they are answered, from one address. Another argon2id client,
// and the same client from elsewhere, get their tokens all the while: while all of the attacker's requests wait in front of
// them, when nothing is known of them, and once the attacker is told to wait.
func TestOneAttackerLocksOutNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *Config) {
			c.Clients["other"] = clients.Client{
				Secret: argonHash(t), GrantTypes: []string{clientCredentials}, Audiences: map[string][]string{"orders-api": nil},
			}
		})
		gate := k.clients.slow
		hold := func() {
			for range cap(gate.places) {
				gate.places <- struct{}{}
			}
		}
		hold()
		flood := newFlood(t, k, 200)
		synctest.Wait() // whatever of the flood may wait, waits
		good := map[string]string{"other": "192.0.2.7", "old": "192.0.2.8"}
		var all sync.WaitGroup
		for id, address := range good {
			all.Go(func() {
				if w := k.postFrom(t, address, k.place.tokenPath(), byPerson(id, oldSecret)); w.Code != http.StatusOK {
					t.Errorf("%s from %s, behind the flood: %d %s", id, address, w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		for range cap(gate.places) {
			<-gate.places
		}
		all.Wait()
		for range 5 {
			time.Sleep(3 * time.Second) // the attacker may try once more
			for id, address := range good {
				if w := k.postFrom(t, address, k.place.tokenPath(), byPerson(id, oldSecret)); w.Code != http.StatusOK {
					t.Errorf("%s from %s, amid the flood: %d %s", id, address, w.Code, w.Body)
				}
			}
		}
		if w := k.postFrom(t, flood.address, k.place.tokenPath(), byPerson("other", oldSecret)); w.Code != http.StatusOK {
			t.Errorf("a client that is known, from the attacker's own address: %d %s", w.Code, w.Body)
		}
		if got := flood.end(); got[http.StatusTooManyRequests] == 0 || got[http.StatusUnauthorized] == 0 || len(got) != 2 {
			t.Errorf("the attacker was answered %v, want some 401 and then 429", got)
		}
	})
}

// flood sends wrong secrets from one address, each of its requests again as soon as it is answered.
type flood struct {
	address string
	stop    context.CancelFunc
	all     sync.WaitGroup
	mu      sync.Mutex // guards answers
	answers map[int]int
}

func newFlood(t *testing.T, k *kit, width int) *flood {
	ctx, stop := context.WithCancel(t.Context())
	f := &flood{address: "198.51.100.66", stop: stop, answers: map[int]int{}}
	for range width {
		f.all.Go(func() {
			for ctx.Err() == nil {
				w := k.postFrom(t, f.address, k.place.tokenPath(), byPerson("old", "wrong-secret-0123456789"))
				f.mu.Lock()
				f.answers[w.Code]++
				f.mu.Unlock()
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	return f
}

func (f *flood) end() map[int]int {
	f.stop()
	f.all.Wait()
	return f.answers
}

// Wrong secrets use up what an address may try: then it is told to wait, and nothing is compared for it.
func TestWrongSecretsCostTheirAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		try := func(address, id, secret string) *httptest.ResponseRecorder {
			return k.postFrom(t, address, k.place.tokenPath(), byPerson(id, secret))
		}
		for range slowFailures {
			wantRefusal(t, "wrong secret", try("198.51.100.1", "old", "wrong"), 401, "invalid_client")
		}
		w := try("198.51.100.1", "old", oldSecret)
		wantRefusal(t, "the right one, after too many wrong ones", w, 429, "temporarily_unavailable")
		if got := w.Header().Get("Retry-After"); got != "3" {
			t.Errorf("Retry-After %q, want 3", got)
		}
		if w := try("198.51.100.1", "shop", shopSecret); w.Code != http.StatusOK {
			t.Errorf("a generated secret from there: %d %s, want 200", w.Code, w.Body)
		}
		if w := try("198.51.100.2", "old", oldSecret); w.Code != http.StatusOK {
			t.Errorf("from next door: %d %s, want 200", w.Code, w.Body)
		}
		if w := try("198.51.100.1", "old", oldSecret); w.Code != http.StatusOK {
			t.Errorf("a client that is known by now: %d %s, want 200", w.Code, w.Body)
		}
		time.Sleep(3 * time.Second)
		wantRefusal(t, "three seconds later", try("198.51.100.1", "old", "wrong"), 401, "invalid_client")
	})
}

// What waits is bounded for each address, each client and altogether; whether the client exists makes no difference.
func TestSlowComparisonsHaveTheirBounds(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"old", "nobody"} {
		g := newSlowGate()
		address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}) }
		for n := range maxSlowPerAddress {
			if no := g.enter(address(0), id); no != nil {
				t.Fatalf("%d of an address: %v", n, no)
			}
		}
		if no := g.enter(address(0), "x"); no == nil || no.outcome != rateReached {
			t.Errorf("one more of that address: %v, want rate_reached", no)
		}
		for n := range maxSlowPerClient - maxSlowPerAddress {
			if no := g.enter(address(1+n), id); no != nil {
				t.Fatalf("%d of a client: %v", n, no)
			}
		}
		if no := g.enter(address(100), id); no == nil || no.outcome != rateReached {
			t.Errorf("one more of that client: %v, want rate_reached", no)
		}
		for n := range maxSlow - maxSlowPerClient {
			if no := g.enter(address(100+n), id+string(rune('a'+n))); no != nil {
				t.Fatalf("%d of all: %v", n, no)
			}
		}
		if no := g.enter(address(200), "y"); no == nil || no.outcome != unavailable {
			t.Errorf("one more of all: %v, want unavailable", no)
		}
		g.leave(address(0), id)
		if no := g.enter(address(200), "y"); no != nil {
			t.Errorf("one has left, and none may come: %v", no)
		}
	}
}

// Who is known by his last secret is so only with that secret, for that client, and until the client has another.
func TestRightSecretsAreRemembered(t *testing.T) {
	t.Parallel()
	g, h := newSlowGate(), argonHash(t)
	compare := func(id, secret string, h clients.SecretHash, own bool) bool {
		ok, no := g.compare(t.Context(), netip.Addr{}, id, h, own, hide(secret))
		return ok && no == nil
	}
	if !compare("old", oldSecret, h, true) || !compare("nobody", oldSecret, h, false) || len(g.right) != 1 {
		t.Fatalf("%d clients are remembered, want the one that exists", len(g.right))
	}
	for range cap(g.places) {
		g.places <- struct{}{} // from here on, only memory answers
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other, err := clients.ParseSecretHash("$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHRzYWx0$Aem/Ex6wwros8pCr1YzTTF88mGUB15mME37M0XebkAg")
	if err != nil {
		t.Fatal(err)
	}
	if !compare("old", oldSecret, h, true) {
		t.Error("the right secret has to wait")
	}
	both, err := hashed(t, shopSecret).Beside(h, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ended, err := hashed(t, shopSecret).Beside(h, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() (bool, *refusal){
		"another secret":         func() (bool, *refusal) { return g.compare(ctx, netip.Addr{}, "old", h, true, hide(oldSecret+"x")) },
		"another client":         func() (bool, *refusal) { return g.compare(ctx, netip.Addr{}, "new", h, true, hide(oldSecret)) },
		"another hash":           func() (bool, *refusal) { return g.compare(ctx, netip.Addr{}, "old", other, true, hide(oldSecret)) },
		"a new secret beside it": func() (bool, *refusal) { return g.compare(ctx, netip.Addr{}, "old", both, true, hide(oldSecret)) },
	} {
		if ok, no := ask(); ok || no == nil {
			t.Errorf("%s is taken for the one that was right: %v, %v", what, ok, no)
		}
	}
	// The old secret of two is remembered while it is good, and not longer.
	if key := g.key(); both.MAC(key[:], hide(oldSecret)) == ended.MAC(key[:], hide(oldSecret)) {
		t.Error("an old secret is remembered beyond its end")
	}
}
