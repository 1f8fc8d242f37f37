package issuer

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// replica is an issuer on a Redis, with connections of its own.
func replica(t *testing.T, server *storetest.Redis) *Issuer {
	t.Helper()
	s, err := store.NewRedis(store.RedisConfig{Addr: server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	storetest.Open(t, s)
	stamper, err := exchange.NewStamper("cck", time.Hour, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(t)
	c.Names, c.State, c.Depositor = s, s, exchange.NewDepositor(stamper, s, readLog(t, s))
	c.Revoker, c.Grants, c.Listing = newRecorder(t, store.NewMemory()), &exchange.Exchange{}, s
	i, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.keeper.Look(t.Context()); err != nil {
		t.Fatalf("load key ring: %v", err)
	}
	return i
}

// Three issuers on one Redis are sent the same assertion at once, again and again: each time one of them accepts it, and
// none does after one of them has been started anew.
func TestP1_OneAssertionIsAcceptedByOneOfThreeIssuers(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	issuers := []*Issuer{replica(t, server), replica(t, server), replica(t, server)}
	server.Do("HSET", "coatcheck:{0}:head", "since", "0") // the store was opened long ago
	send := func(i *Issuer, assertion string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, i.place.tokenPath(), strings.NewReader(asserting(assertion).Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.Handler().ServeHTTP(w, r)
		return w.Code
	}
	var last string
	for n := range 50 {
		last = assert()
		answers := map[int]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, i := range issuers {
			for range 2 {
				all.Go(func() {
					code := send(i, last)
					mu.Lock()
					defer mu.Unlock()
					answers[code]++
				})
			}
		}
		all.Wait()
		if answers[http.StatusOK] != 1 || answers[http.StatusUnauthorized] != 5 {
			t.Errorf("assertion %d, sent to three issuers twice each: %v, want one 200 and five 401", n, answers)
		}
	}
	if code := send(replica(t, server), last); code != http.StatusUnauthorized {
		t.Errorf("the last one, sent to an issuer that was started later: %d, want 401", code)
	}
}
