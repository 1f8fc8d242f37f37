package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestOutages goes through what happens to a deployment in production, in order, with one reference: it must stay
// good as long as anything is left that can know so, and must never be called bad because something is away.
func TestOutages(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	reference := lab.Token(client)
	orders := lab.Edge() + "/orders/17"

	swaps := func(when string) {
		t.Helper()
		if a := client.Call("GET", orders, reference); a.Status != http.StatusOK {
			t.Fatalf("%s: GET %s = %d %s, want 200", when, orders, a.Status, a.Body)
		}
		if got := lab.Orders.Last(t).Claims(t)["aud"]; got != "orders-api" {
			t.Fatalf("%s: the service's JWT has aud %v, want orders-api", when, got)
		}
	}
	swaps("with everything up")
	if a := client.Call("GET", lab.Edge()+"/invoices/1", reference); a.Status != http.StatusOK {
		t.Fatalf("GET /invoices/1 = %d %s, want 200", a.Status, a.Body)
	}
	if got := lab.Billing.Last(t).Claims(t)["aud"]; got != "billing-api" {
		t.Fatalf("billing's JWT has aud %v, want billing-api", got)
	}

	edge.Kill()
	edge = lab.StartEdge()
	metrics := edge.Address("metrics")
	client.Ready(metrics)
	swaps("after kill -9 of the edge and a restart")

	issuer.Kill()
	swaps("without an issuer")
	issuer = lab.StartIssuer()
	client.Ready(issuer.Address("metrics"))

	lab.Redis.Kill()
	// What the edge knows may be used until its lease ends; after that only a 503 is right, and at no time a 401.
	processtest.Eventually(t, "the edge says 503 while Redis is away", func() bool {
		a := client.Call("GET", orders, reference)
		if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
			t.Fatalf("without Redis: %d %s, want 200 within the lease, then 503", a.Status, a.Body)
		}
		return a.Status == http.StatusServiceUnavailable
	})
	a := client.Call("GET", orders, reference)
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Header.Get("Www-Authenticate") != "" {
		t.Fatalf("without Redis: %d, Retry-After %q, WWW-Authenticate %q; want 503 with the first and without the second",
			a.Status, a.Header.Get("Retry-After"), a.Header.Get("Www-Authenticate"))
	}
	processtest.Eventually(t, "/readyz says that the store is away", func() bool {
		a := client.Do("GET", "http://"+metrics+"/readyz", nil, "")
		return a.Status == http.StatusServiceUnavailable
	})

	// The issuer has its journal, and Redis all its data: together they prove that nothing is missing.
	lab.Redis.Restart()
	processtest.Eventually(t, "the same reference works again without a restart", func() bool {
		a := client.Call("GET", orders, reference)
		if a.Status == http.StatusUnauthorized {
			t.Fatalf("after Redis came back: 401 %s", a.Body)
		}
		return a.Status == http.StatusOK
	})
	client.Ready(metrics)

	lab.Redis.Pause() // it accepts, and never answers
	processtest.Eventually(t, "the edge says 503 while Redis hangs", func() bool {
		a := client.Call("GET", orders, reference)
		if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
			t.Fatalf("with a Redis that hangs: %d %s, want 200 within the lease, then 503", a.Status, a.Body)
		}
		return a.Status == http.StatusServiceUnavailable
	})
	lab.Redis.Resume()
	processtest.Eventually(t, "the edge swaps when Redis goes on", func() bool {
		return client.Call("GET", orders, reference).Status == http.StatusOK
	})

	issuer.Kill()
	issuer = lab.StartIssuer()
	client.Ready(issuer.Address("metrics"))
	before := lab.Orders.Last(t).JWT()
	reference = lab.Token(client)
	swaps("with a reference from an issuer that was started again")
	if after := lab.Orders.Last(t).JWT(); header(before) != header(after) {
		t.Errorf("the restarted issuer signs with another key: header %s, before %s", header(after), header(before))
	}
	if code := edge.Terminate(); code != exitOK {
		t.Errorf("the edge ended with %d after SIGTERM, want 0:\n%s", code, edge.Stderr)
	}
}

// header is the part of a JWT that names its key.
func header(jwt string) string {
	h, _, _ := strings.Cut(jwt, ".")
	return h
}

// TestStartsInAnyOrder: an edge that is first says 503 and why, and serves as soon as the others are there.
func TestStartsInAnyOrder(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	lab.Redis.Kill()
	edge := lab.StartEdge()
	metrics := edge.Address("metrics")

	a := client.Do("GET", "http://"+metrics+"/readyz", http.Header{"Accept": {"application/json"}}, "")
	if a.Status != http.StatusServiceUnavailable {
		t.Errorf("/readyz of an edge that is alone = %d %s, want 503", a.Status, a.Body)
	}
	for _, name := range []string{`"store"`, `"keys"`, `"lease"`} {
		if !strings.Contains(a.Body, name) {
			t.Errorf("/readyz of an edge that is alone does not name %s: %s", name, a.Body)
		}
	}
	if a := client.Do("GET", "http://"+metrics+"/healthz", nil, ""); a.Status != http.StatusOK {
		t.Errorf("/healthz = %d, want 200: the process is alive", a.Status)
	}

	issuer := lab.StartIssuer()
	issuerMetrics := issuer.Address("metrics")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a = client.Do("POST", lab.Issuer()+"/oauth2/token", form,
		"grant_type=client_credentials&client_id="+lab.Client+"&client_secret="+lab.Secret)
	if a.Status != http.StatusServiceUnavailable {
		t.Errorf("the token endpoint without a store = %d %s, want 503", a.Status, a.Body)
	}

	lab.Redis.Restart()
	client.Ready(issuerMetrics)
	client.Ready(metrics)
	if a := client.Call("GET", lab.Edge()+"/orders/1", lab.Token(client)); a.Status != http.StatusOK {
		t.Errorf("when all are there: %d %s, want 200", a.Status, a.Body)
	}
	if edge.Ended() || issuer.Ended() {
		t.Error("a process has exited because a dependency was away")
	}
}

// TestStoreThatMayEvictIsRefused: such a store would forget revocations, so nothing is issued from it or swapped.
func TestStoreThatMayEvictIsRefused(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	_, edge := lab.Up(client)
	reference := lab.Token(client)
	lab.Redis.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	processtest.Eventually(t, "the edge refuses a store that may evict", func() bool {
		return client.Call("GET", lab.Edge()+"/orders/1", reference).Status == http.StatusServiceUnavailable
	})
	a := client.Do("GET", "http://"+edge.Address("metrics")+"/readyz", nil, "")
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "maxmemory") {
		t.Errorf("/readyz = %d %s, want 503 naming maxmemory-policy", a.Status, a.Body)
	}
	lab.Redis.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	processtest.Eventually(t, "the edge trusts the mended store", func() bool {
		return client.Call("GET", lab.Edge()+"/orders/1", reference).Status == http.StatusOK
	})
}
