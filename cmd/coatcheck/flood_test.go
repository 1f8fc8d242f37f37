package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
	"github.com/coatcheck/coatcheck/exchange"
)

// TestFloodOfBadReferencesSparesRedis: made-up references, those of a forger who knows their whole form, and genuine
// ones past the longest lifetime die at the edge.
// Redis sees what it sees of an idle edge: the check of its policy, the pulls of the revocation log, and nothing else.
func TestFloodOfBadReferencesSparesRedis(t *testing.T) {
	t.Parallel()
	const flood = 10_000
	client := processtest.NewClient(t)
	// The brake on bad references would answer 429 before the tag is looked at; here the tag is to be seen at work.
	lab := processtest.New(t, processtest.Options{Replace: []string{"telemetry:\n", "limits: {bad_references: off}\ntelemetry:\n"}})
	issuer, edge := lab.Up(client)
	orders := lab.Edge() + "/orders/17"

	reference := lab.Token(client)
	if code := issuer.Terminate(); code != exitOK { // it reads its key ring now and then; here only the edge is watched
		t.Fatalf("the issuer ended with %d", code)
	}

	stale := staleReferences(t, lab, flood/10)
	forger, err := exchange.NewStamper("cck", 10*time.Minute, bytes.Repeat([]byte("forger!!"), 4))
	if err != nil {
		t.Fatal(err)
	}
	lab.Redis.ResetCommands()
	for i := range flood {
		credential := "cck_" + base62(65)
		switch {
		case i%10 == 0:
			credential = stale[i/10]
		case i%2 == 0: // checksum and minute are right, and so would the tag be if our key were his
			made := forger.New()
			credential = made.Reveal()
		}
		if a := client.Call("GET", orders, credential); a.Status != http.StatusUnauthorized {
			t.Fatalf("bad reference %d = %d %s, want 401", i, a.Status, a.Body)
		}
	}
	if counts := beyondIdle(lab); len(counts) > 0 {
		t.Errorf("Redis ran %v during %d bad references; want none but those of an idle edge", counts, flood)
	}
	for reason, want := range map[string]float64{"malformed": flood / 2, "forged": flood/2 - flood/10, "stale": flood / 10} {
		if n := sumOf(t, client, edge.Address("metrics"), "coatcheck_requests_total", `reason="`+reason+`"`); n != want {
			t.Errorf("the edge counted %v references as %s, want %v", n, reason, want)
		}
	}

	// The counter can count: a good reference shows in Redis.
	if a := client.Call("GET", orders, reference); a.Status != http.StatusOK {
		t.Fatalf("GET %s = %d %s, want 200", orders, a.Status, a.Body)
	}
	if len(beyondIdle(lab)) == 0 {
		t.Error("a good reference left no trace in Redis' counts: this test could not have failed")
	}
}

// beyondIdle is what Redis has run that an idle edge does not ask for. Of the scripts, each pull is one, and comes with one
// HSET by which the edge shows itself and one HMGET of the head; so what is left when as many are taken away is not a pull.
func beyondIdle(lab *processtest.Lab) map[string]int {
	counts := lab.Redis.Commands()
	for _, idle := range []string{"info", "time", "ping", "hello", "client|setinfo", "client|setname", "client", "config|resetstat", "select"} {
		delete(counts, idle)
	}
	pulls := counts["hset"]
	for _, of := range []string{"hset", "hmget", "evalsha_ro"} {
		counts[of] -= pulls
	}
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	return counts
}

// staleReferences are genuine: stamped with the lab's own key, in the year in which synctest's clock begins.
func staleReferences(t *testing.T, lab *processtest.Lab, n int) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(lab.Dir, "stamp_keys"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	synctest.Test(t, func(t *testing.T) {
		s, err := exchange.NewStamper("cck", 10*time.Minute, key)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			r := s.New()
			out = append(out, r.Reveal())
		}
	})
	s, err := exchange.NewStamper("cck", 100*365*24*time.Hour, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Parse(out[0]); err != nil {
		t.Fatalf("the stale references are not even genuine: %v", err)
	}
	return out
}

func base62(n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := make([]byte, n)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = digits[int(b[i])%len(digits)]
	}
	return string(b)
}
