package clients

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func rules() Rules {
	return Rules{
		GrantTypes: []string{"client_credentials", "refresh_token"},
		WithSecret: []string{"client_credentials"},
		Audiences: map[string]map[string]bool{
			"orders-api":  {"orders:read": true, "orders:write": true},
			"billing-api": {"invoices:read": true},
		},
		TTL: 10 * time.Minute,
	}
}

func hashOf(t testing.TB, secret string) SecretHash {
	t.Helper()
	h, err := HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func shop(t testing.TB) Client {
	t.Helper()
	return Client{
		Secret: hashOf(t, generated), GrantTypes: []string{"client_credentials"},
		Audiences: map[string][]string{"orders-api": {"orders:write", "orders:read", "orders:write"}},
		Claims:    map[string]any{"tenant": "acme", "level": 3},
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	change := func(c func(*Client)) func(map[string]Client) {
		return func(all map[string]Client) {
			one := all["shop"]
			c(&one)
			all["shop"] = one
		}
	}
	for name, row := range map[string]struct {
		change func(map[string]Client)
		want   string
	}{
		"id with a space":      {func(all map[string]Client) { all["a b"] = Client{} }, "not an id"},
		"id that is empty":     {func(all map[string]Client) { all[""] = Client{} }, "not an id"},
		"id too long":          {func(all map[string]Client) { all[strings.Repeat("x", MaxID+1)] = Client{} }, "not an id"},
		"two ids":              {change(func(c *Client) { c.ID = "stop" }), "not an id"},
		"grant without secret": {change(func(c *Client) { c.Secret = SecretHash{} }), "cannot prove who it is"},
		"unknown grant":        {change(func(c *Client) { c.GrantTypes = []string{"password"} }), "use client_credentials, refresh_token"},
		"unknown audience":     {change(func(c *Client) { c.Audiences = map[string][]string{"x": nil} }), "not one of audiences"},
		"scope of another":     {change(func(c *Client) { c.Audiences["orders-api"] = []string{"invoices:read"} }), "not one of audience"},
		"foreign default":      {change(func(c *Client) { c.DefaultAudiences = []string{"billing-api"} }), "not among its audiences"},
		"serves the unknown":   {change(func(c *Client) { c.Serves = []string{"x"} }), "which is not one of audiences"},
		"serves without secret": {change(func(c *Client) {
			c.Secret, c.Public, c.Serves, c.GrantTypes = SecretHash{}, true, []string{"orders-api"}, nil
		}), "must prove who it is"},
		"public with a grant":   {change(func(c *Client) { c.Secret, c.Public = SecretHash{}, true }), "not for a public client"},
		"public with a secret":  {change(func(c *Client) { c.Public = true }), "has neither secret nor keys"},
		"keys nobody remembers": {change(func(c *Client) { c.Keys = &Keys{} }), "nothing remembers"},
		"half seconds":          {change(func(c *Client) { c.TTL = 1500 * time.Millisecond }), "positive number of whole seconds"},
		"negative life":         {change(func(c *Client) { c.TTL = -time.Second }), "positive number of whole seconds"},
		"negative quota":        {change(func(c *Client) { c.MaxGrants = -1 }), "quota"},
		"negative bytes":        {change(func(c *Client) { c.MaxBytes = -1 }), "quota"},
		"claim sub":             {change(func(c *Client) { c.Claims = map[string]any{"sub": 1} }), "set by the issuer"},
		"claim SUB":             {change(func(c *Client) { c.Claims = map[string]any{"SUB": 1} }), "set by the issuer"},
		"claims by case":        {change(func(c *Client) { c.Claims = map[string]any{"tenant": 1, "Tenant": 2} }), "or twice"},
		"claim that is no JSON": {change(func(c *Client) { c.Claims = map[string]any{"f": func() {}} }), "as JSON"},
	} {
		all := map[string]Client{"shop": shop(t)}
		row.change(all)
		if _, err := New(all, rules()); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

// Everything that is wrong is said at once, in the order of the ids.
func TestNewSaysEverything(t *testing.T) {
	t.Parallel()
	_, err := New(map[string]Client{"b": {TTL: -1, MaxGrants: -1}, "a": {GrantTypes: []string{"x", "y"}}}, rules())
	if err == nil {
		t.Fatal("accepted")
	}
	at := 0
	for _, want := range []string{`client "a"`, `"x"`, `"y"`, `client "b"`, "quota", "ttl"} {
		n := strings.Index(err.Error()[at:], want)
		if n < 0 {
			t.Fatalf("%q does not come after %q", want, err.Error()[:at])
		}
		at += n
	}
}

// What is known of a client is complete, and does not change with what it was made of.
func TestKnownIsFrozen(t *testing.T) {
	t.Parallel()
	given := map[string]Client{"shop": shop(t)}
	r, err := New(given, rules())
	if err != nil {
		t.Fatal(err)
	}
	given["shop"].Audiences["orders-api"][0] = "secrets:read"
	given["shop"].GrantTypes[0] = "none"
	given["shop"].Claims["tenant"] = "evil"
	delete(given, "shop")
	got := r.Lookup("shop")
	if got == nil {
		t.Fatal("the client is gone with the map that it came in")
	}
	if string(got.Extra["level"]) != "3" || string(got.Extra["tenant"]) != `"acme"` || !got.Secret.Matches(hide(generated)) {
		t.Errorf("claims %s, or the secret has changed", got.Extra)
	}
	want := Client{ID: "shop", GrantTypes: []string{"client_credentials"}, Audiences: map[string][]string{"orders-api": {"orders:read", "orders:write"}}, TTL: 10 * time.Minute}
	have := got.Client
	have.Secret = SecretHash{}
	if diff := cmp.Diff(want, have, cmp.AllowUnexported(SecretHash{})); diff != "" {
		t.Errorf("what is known differs (-want +got):\n%s", diff)
	}
	if r.Lookup("nobody") != nil {
		t.Error("there is a client that was never configured")
	}
}
