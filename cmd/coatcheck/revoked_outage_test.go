package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// jtiOf is the jti of the grant behind a reference, as a service's log names it.
func jtiOf(t *testing.T, client *processtest.Client, lab *processtest.Lab, reference string) string {
	t.Helper()
	if a := client.Call("GET", lab.Edge()+"/orders/17", reference); a.Status != http.StatusOK {
		t.Fatalf("GET /orders/17 = %d %s, want 200", a.Status, a.Body)
	}
	return lab.Orders.Last(t).Claims(t)["jti"].(string)
}

// never401 waits for the wanted status, and fails when the reference is called bad meanwhile.
func never401(t *testing.T, client *processtest.Client, target, reference, what string, want int) {
	t.Helper()
	processtest.Eventually(t, what, func() bool {
		a := client.Call("GET", target, reference)
		if a.Status == http.StatusUnauthorized {
			t.Fatalf("%s: 401 %s on the way there", what, a.Body)
		}
		return a.Status == want
	})
}

// TestRestartedRedisIsOpenedByTheJournals: with its data it goes on where it was, and nobody is logged out; a revocation
// that was asked for while it was away was not acknowledged, and is in force when it is back.
func TestRestartedRedisIsOpenedByTheJournals(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	orders := lab.Edge() + "/orders/17"
	live, leaked, dead := lab.Token(client), lab.Token(client), lab.Token(client)
	asked := jtiOf(t, client, lab, leaked)
	if a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jtiOf(t, client, lab, dead)}); a.Status != http.StatusOK {
		t.Fatalf("revoke = %d %s, want 200", a.Status, a.Body)
	}
	if a := client.Call("GET", orders, dead); a.Status != http.StatusUnauthorized {
		t.Fatalf("right after the 200 of its revocation: %d %s, want 401", a.Status, a.Body)
	}

	lab.Redis.Kill()
	a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": asked})
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("a revocation while Redis is away = %d, Retry-After %q: %s; want 503, for nobody may believe in it", a.Status, a.Header.Get("Retry-After"), a.Body)
	}
	lab.Redis.Restart()
	never401(t, client, orders, live, "a live reference works again after Redis has restarted with its data", http.StatusOK)
	client.Ready(edge.Address("metrics"))
	client.Ready(issuer.Address("metrics"))
	processtest.Eventually(t, "what was asked for while Redis was away is in force", func() bool {
		return client.Call("GET", orders, leaked).Status == http.StatusUnauthorized
	})
	if a := client.Call("GET", orders, dead); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked before the restart = %d %s, want 401", a.Status, a.Body)
	}
}

// TestClosedStoreWaitsForAnIssuer: nobody else can say what was revoked. Until then 503, never 401.
func TestClosedStoreWaitsForAnIssuer(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	reference := lab.Token(client)
	orders := lab.Edge() + "/orders/17"
	issuer.Kill()
	lab.Redis.Kill()
	lab.Redis.Restart()
	never401(t, client, orders, reference, "without an issuer a restarted Redis is closed", http.StatusServiceUnavailable)
	for range 20 {
		if a := client.Call("GET", orders, reference); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Fatalf("a closed store = %d, Retry-After %q; want 503", a.Status, a.Header.Get("Retry-After"))
		}
	}
	processtest.Eventually(t, "/readyz says why", func() bool {
		a := client.Do("GET", "http://"+edge.Address("metrics")+"/readyz", nil, "")
		return a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "lease")
	})
	lab.StartIssuer()
	never401(t, client, orders, reference, "with an issuer it is opened, and the reference lives", http.StatusOK)
}

// TestFlushedRedisEndsWhatWasThere: it cannot be proved that nothing is missing, so what was issued before is over, and
// what is issued after works at once.
func TestFlushedRedisEndsWhatWasThere(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	reference := lab.Token(client)
	orders := lab.Edge() + "/orders/17"
	saved := lab.Redis.Do("DUMP", onlyRecord(t, lab)).(string)
	key := onlyRecord(t, lab)
	lab.Redis.Do("FLUSHALL")
	processtest.Eventually(t, "an earlier reference ends", func() bool {
		a := client.Call("GET", orders, reference)
		return a.Status == http.StatusUnauthorized
	})
	client.Ready(issuer.Address("metrics"))
	client.Ready(edge.Address("metrics"))
	fresh := ""
	processtest.Eventually(t, "the issuer gives new references", func() bool {
		a := client.Do("POST", lab.Issuer()+"/oauth2/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			"grant_type=client_credentials&client_id="+lab.Client+"&client_secret="+lab.Secret)
		var got struct {
			AccessToken string `json:"access_token"`
		}
		if json.Unmarshal([]byte(a.Body), &got) == nil {
			fresh = got.AccessToken
		}
		return a.Status == http.StatusOK
	})
	never401(t, client, orders, fresh, "a new reference works", http.StatusOK)
	lab.Redis.Do("RESTORE", key, "0", saved, "REPLACE")
	for range 20 {
		if a := client.Call("GET", orders, reference); a.Status != http.StatusUnauthorized {
			t.Fatalf("its record put back by hand = %d %s, want 401: it is under the floor of the opening", a.Status, a.Body)
		}
	}
}

// TestMissingIssuerEndsEarlierGrants, after missing_after and not before: nobody knows what it has revoked. Then it comes
// back and vouches again.
func TestMissingIssuerEndsEarlierGrants(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Issuers: []string{"issuer-1", "issuer-2"}, Missing: "2s"})
	second := processtest.Instance{Name: "issuer-2", Addr: processtest.FreeAddress(t)}
	first, edge := lab.StartIssuer(), lab.StartEdge()
	other := lab.StartIssuerAs(second)
	for _, p := range []*processtest.Process{first, edge, other} {
		client.Ready(p.Address("metrics"))
	}
	reference := lab.Token(client)
	orders := lab.Edge() + "/orders/17"

	lab.Redis.Kill()
	lab.Redis.Restart()
	never401(t, client, orders, reference, "with both issuers a restart logs nobody out", http.StatusOK)

	other.Kill()
	lab.Redis.Kill()
	lab.Redis.Restart()
	sawClosed := false
	processtest.Eventually(t, "without one of the issuers earlier references end", func() bool {
		a := client.Call("GET", orders, reference)
		sawClosed = sawClosed || a.Status == http.StatusServiceUnavailable
		return a.Status == http.StatusUnauthorized && sawClosed
	})
	client.Ready(first.Address("metrics"))
	never401(t, client, orders, lab.Token(client), "new references work without it", http.StatusOK)

	other = lab.StartIssuerAs(second)
	client.Ready(other.Address("metrics"))
	reference = lab.Token(client)
	lab.Redis.Kill()
	lab.Redis.Restart()
	never401(t, client, orders, reference, "with both again a restart logs nobody out", http.StatusOK)
}

// TestJournalOnAFullDisk: what cannot be written down is not acknowledged, and everything else goes on.
func TestJournalOnAFullDisk(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Lease: "50ms"})
	issuer, edge := lab.StartIssuerAs(processtest.Instance{MaxFile: 2}), lab.StartEdge()
	client.Ready(issuer.Address("metrics"))
	client.Ready(edge.Address("metrics"))
	orders := lab.Edge() + "/orders/17"
	reference := lab.Token(client)
	jti := jtiOf(t, client, lab, reference)
	var a processtest.Answer
	for n := range 200 {
		made := strings.Repeat("0123456789abcdef"[n%16:n%16+1], 32)
		if a = lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": made}); a.Status != http.StatusOK {
			break
		}
	}
	if a.Status != http.StatusServiceUnavailable {
		t.Fatalf("revoking on a disk that is full = %d %s, want 503", a.Status, a.Body)
	}
	if a = lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jti}); a.Status != http.StatusServiceUnavailable {
		t.Errorf("the next revocation = %d %s, want 503 too", a.Status, a.Body)
	}
	if a := client.Call("GET", orders, reference); a.Status != http.StatusOK {
		t.Errorf("what was not revoked = %d %s, want 200: nobody was told that it is over", a.Status, a.Body)
	}
	processtest.Eventually(t, "/readyz of the issuer says that it cannot revoke", func() bool {
		a := client.Do("GET", "http://"+issuer.Address("metrics")+"/readyz", nil, "")
		return a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "journal")
	})
	if issuer.Ended() {
		t.Errorf("the issuer has ended: %s", issuer.Stderr)
	}

	issuer.Kill() // the operator makes room and starts it again
	issuer = lab.StartIssuer()
	client.Ready(issuer.Address("metrics"))
	if a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jti}); a.Status != http.StatusOK {
		t.Fatalf("revoking when there is room again = %d %s, want 200", a.Status, a.Body)
	}
	if a := client.Call("GET", orders, reference); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked = %d %s, want 401", a.Status, a.Body)
	}
}
