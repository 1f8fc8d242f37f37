package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
	"github.com/coatcheck/coatcheck/verifier"
)

// TestStolenFromInside: what an internal service sees and logs is worth nothing outside, and nothing next door.
func TestStolenFromInside(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	lab.Up(client)
	orders := lab.Edge() + "/orders/17"
	if a := client.Call("GET", orders, lab.Token(client)); a.Status != http.StatusOK {
		t.Fatalf("GET %s = %d %s, want 200", orders, a.Status, a.Body)
	}
	stolen := lab.Orders.Last(t)
	jti, ok := stolen.Claims(t)["jti"].(string)
	if !ok || jti == "" {
		t.Fatalf("the JWT has no jti: %v", stolen.Claims(t))
	}

	made := client.Call("GET", orders, "cck_"+strings.Repeat("0", 65))
	for name, credential := range map[string]string{
		"the JWT":                    stolen.JWT(),
		"its jti":                    jti,
		"its jti, dressed up":        "cck_" + jti + strings.Repeat("0", 65-len(jti)),
		"the JWT without signature":  stolen.JWT()[:strings.LastIndex(stolen.JWT(), ".")+1],
		"the key of Redis's record ": onlyRecord(t, lab),
	} {
		a := client.Call("GET", orders, credential)
		if a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
			t.Errorf("%s at the edge = %d %s, want a refusal", name, a.Status, a.Body)
		}
		if name == "the JWT" || name == "its jti" {
			if a.Status != made.Status || a.Header.Get("Www-Authenticate") != made.Header.Get("Www-Authenticate") {
				t.Errorf("%s at the edge = %d %q, a made-up reference %d %q: want no difference",
					name, a.Status, a.Header.Get("Www-Authenticate"), made.Status, made.Header.Get("Www-Authenticate"))
			}
		}
	}
	if got := len(lab.Orders.Requests()); got != 1 {
		t.Errorf("%d requests reached the service, want only the good one", got)
	}

	for audience, want := range map[string]error{"orders-api": nil, "billing-api": verifier.ErrInvalid} {
		v, err := verifier.New(lab.Issuer(), audience, verifier.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), stolen.JWT()); !errors.Is(err, want) {
			t.Errorf("a verifier for %s says %v of the JWT for orders-api, want %v", audience, err, want)
		}
	}
}
