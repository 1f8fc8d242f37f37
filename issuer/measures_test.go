package issuer

import (
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// R9: each client has its measure; over it is a 429 for that client, and for nobody else.
func TestR9_RevocationsAreMeasuredPerClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *Config) { c.RevokeRate, c.RevokeBurst = 2, 3 })
		ask := func(client string) *httptest.ResponseRecorder {
			return k.postRevoke(t, revocationOf("x", "client_id", client), nil)
		}
		burst := func() (answered int) {
			// All at once: the clock stands still until they wait.
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if w := ask("shop"); w.Code == 200 {
						mu.Lock()
						answered++
						mu.Unlock()
					} else {
						wantRefusal(t, "over the measure", w, 429, "temporarily_unavailable")
						if got := w.Header().Get("Retry-After"); got != "1" {
							t.Errorf("Retry-After %q, want 1", got)
						}
					}
				})
			}
			all.Wait()
			return answered
		}
		if got := burst(); got != 3 {
			t.Errorf("of 10 at once %d were let through, want 3", got)
		}
		wantRevoked(t, "another client", ask("single"))
		// Guesses at the secret do not use up the client's own measure.
		for range 5 {
			k.postRevoke(t, revocationOf("x", "client_secret", "wrong-secret-0123456789"), nil)
		}
		time.Sleep(time.Second)
		if got := burst(); got != 2 {
			t.Errorf("a second later %d were let through, want 2", got)
		}
	})
}

func TestR9_DefaultMeasure(t *testing.T) {
	t.Parallel()
	m := newKit(t).measures.pace
	if m.every != 50*time.Millisecond || m.burst != 5*time.Second {
		t.Errorf("every %v, burst of %v, want 20 a second and 100 at once", m.every, m.burst)
	}
}

// What waits is bounded, for each client and altogether.
func TestWaitingRevocationsAreBounded(t *testing.T) {
	t.Parallel()
	m := newMeasures(1e6, 1e6)
	var leaves []func()
	for n := range 8 {
		for range maxWaitingPerClient {
			leave, no := m.enter(fmt.Sprint(n), testNow)
			if no != nil {
				t.Fatalf("client %d: %v", n, no)
			}
			leaves = append(leaves, leave)
		}
		if _, no := m.enter(fmt.Sprint(n), testNow); no == nil || no.outcome != rateReached {
			t.Fatalf("client %d has %d waiting, and may wait with one more (%v)", n, maxWaitingPerClient, no)
		}
	}
	if _, no := m.enter("8", testNow); no == nil || no.outcome != unavailable || no.retry == 0 {
		t.Errorf("%d wait, and one more may: %v", len(leaves), no)
	}
	leaves[0]()
	if _, no := m.enter("8", testNow); no != nil {
		t.Errorf("one has left, and none may come: %v", no)
	}
}

// Who waits has a place, and gives it back whatever the answer.
func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		others := k.token(t, shop("client_id", "single")).AccessToken
		release := k.ended.hold()
		var all sync.WaitGroup
		for _, token := range []string{"x", k.token(t, shop()).AccessToken, others, ""} {
			all.Go(func() { k.postRevoke(t, revocationOf(token), nil) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := k.measures.waiting; got != 2 {
			t.Errorf("%d places are taken while 2 revocations wait", got)
		}
		release()
		all.Wait()
		if got := k.measures.waiting; got != 0 || k.measures.of["shop"] != 0 {
			t.Errorf("%d places are taken when all is answered", got)
		}
	})
}
