package issuer

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/store"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	client := func(change func(*clients.Client)) func(*Config) {
		return func(c *Config) {
			one := c.Clients["shop"]
			change(&one)
			c.Clients["shop"] = one
		}
	}
	claim := func(name string) func(*Config) {
		return client(func(c *clients.Client) { c.Claims = map[string]any{name: "x"} })
	}
	audience := func(name string, a Audience) func(*Config) {
		return func(c *Config) { c.Audiences[name] = a }
	}
	for name, row := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no issuer":                {func(c *Config) { c.Issuer = "" }, "issuer URL is required"},
		"issuer without host":      {func(c *Config) { c.Issuer = "https:///x" }, "host"},
		"issuer of another scheme": {func(c *Config) { c.Issuer = "ftp://h" }, "https://"},
		"issuer with query":        {func(c *Config) { c.Issuer = "https://h?x" }, "query"},
		"issuer with fragment":     {func(c *Config) { c.Issuer = "https://h#" }, "fragment"},
		"issuer with user":         {func(c *Config) { c.Issuer = "https://u@h" }, "user"},
		"issuer with dot segments": {func(c *Config) { c.Issuer = "https://h/a/../b" }, "plain segments"},
		"issuer with escapes":      {func(c *Config) { c.Issuer = "https://h/%61" }, "plain segments"},
		"issuer with two slashes":  {func(c *Config) { c.Issuer = "https://h/a//b" }, "plain segments"},
		"no sealing keys":          {func(c *Config) { c.Sealing = nil }, "sealing keys are required"},
		"no state":                 {func(c *Config) { c.State = nil }, "state store is required"},
		"no depositor":             {func(c *Config) { c.Depositor = nil }, "depositor is required"},
		"no revoker":               {func(c *Config) { c.Revoker = nil }, "a revoker, grants and a listing are required"},
		"no grants":                {func(c *Config) { c.Grants = nil }, "a revoker, grants and a listing are required"},
		"no listing":               {func(c *Config) { c.Listing = nil }, "a revoker, grants and a listing are required"},
		"negative revoke rate":     {func(c *Config) { c.RevokeRate = -1 }, "above 0"},
		"negative revoke burst":    {func(c *Config) { c.RevokeBurst = -1 }, "above 0"},
		"another algorithm":        {func(c *Config) { c.Algorithm = "HS256" }, "use ES256, EdDSA"},
		"rotation too fast":        {func(c *Config) { c.RotateEvery = time.Minute }, "0 (never)"},
		"half seconds":             {func(c *Config) { c.TTL = 1500 * time.Millisecond }, "whole seconds"},
		"negative ttl":             {client(func(c *clients.Client) { c.TTL = -1 }), `client "shop": ttl`},
		"id differs":               {client(func(c *clients.Client) { c.ID = "other" }), "not an id"},
		"id with a space":          {func(c *Config) { c.Clients["a b"] = clients.Client{} }, "not an id"},
		"id too long":              {func(c *Config) { c.Clients[strings.Repeat("x", 129)] = clients.Client{} }, "not an id"},
		"grant without secret":     {client(func(c *clients.Client) { c.Secret = clients.SecretHash{} }), "cannot prove who it is"},
		"unknown grant":            {client(func(c *clients.Client) { c.GrantTypes = []string{"password"} }), "not offered"},
		"unknown audience":         {client(func(c *clients.Client) { c.Audiences = map[string][]string{"x": nil} }), "not one of audiences"},
		"scope of another":         {client(func(c *clients.Client) { c.Audiences["orders-api"] = []string{"invoices:read"} }), "not one of audience"},
		"foreign default":          {client(func(c *clients.Client) { c.DefaultAudiences = []string{"secret-api"} }), "not among its audiences"},
		"serves the unknown":       {client(func(c *clients.Client) { c.Serves = []string{"x"} }), `serves audience "x", which is not one of audiences`},
		"serves without a secret": {client(func(c *clients.Client) {
			c.Secret, c.Public, c.Serves = clients.SecretHash{}, true, []string{"orders-api"}
		}), "must prove who it is"},
		"negative quota":         {client(func(c *clients.Client) { c.MaxGrants = -1 }), "quota"},
		"claim sub":              {claim("sub"), "set by the issuer"},
		"claim aud":              {claim("aud"), "set by the issuer"},
		"claim SUB":              {claim("SUB"), "set by the issuer"},
		"claim exp":              {claim("exp"), "set by the issuer"},
		"claim nbf":              {claim("nbf"), "set by the issuer"},
		"claim scope":            {claim("scope"), "set by the issuer"},
		"claim client_id":        {claim("client_id"), "set by the issuer"},
		"claim handles":          {claim("handles"), "set by the issuer"},
		"claim act":              {claim("act"), "set by the issuer"},
		"claim cnf":              {claim("cnf"), "set by the issuer"},
		"claim without name":     {claim(""), "set by the issuer"},
		"claims by case":         {client(func(c *clients.Client) { c.Claims = map[string]any{"tenant": 1, "Tenant": 2} }), "or twice"},
		"claim that is no JSON":  {client(func(c *clients.Client) { c.Claims = map[string]any{"f": func() {}} }), "as JSON"},
		"audience of the edge":   {audience(exchange.ManifestAudience, Audience{}), "not a name"},
		"audience without name":  {audience("", Audience{}), "not a name"},
		"scope with a space":     {audience("x", Audience{Scopes: map[string]string{"a b": ""}}), "RFC 6749 §3.3"},
		"scope with two owners":  {audience("x", Audience{Scopes: map[string]string{"orders:read": ""}}), "one owner"},
		"claim of ours listed":   {audience("x", Audience{Claims: []string{"tenant", "Sub"}}), "listed twice, or set by the issuer"},
		"claim listed twice":     {audience("x", Audience{Claims: []string{"tenant", "Tenant"}}), "listed twice, or set by the issuer"},
		"relative resource":      {audience("x", Audience{Resource: "/x"}), "absolute URI"},
		"resource with fragment": {audience("x", Audience{Resource: "https://x#"}), "absolute URI"},
		"resource of two":        {audience("x", Audience{Resource: "https://orders.example.com"}), "already"},
		"keys without names":     {func(c *Config) { c.Names = nil }, "nothing remembers which of its assertions"},
	} {
		c := testConfig(t)
		stamper, err := exchange.NewStamper("cck", time.Hour, make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		s := store.NewMemory()
		c.Names, c.State, c.Depositor = s, s, exchange.NewDepositor(stamper, s, nil)
		c.Revoker, c.Grants, c.Listing = newRecorder(t, s), &exchange.Exchange{}, s
		row.change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

// All that is wrong is said at once.
func TestNewSaysEverything(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Sealing = nil
	_, err := New(c)
	for _, want := range []string{"sealing keys", "state store", "depositor", "revoker"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to name %s", err, want)
		}
	}
}

// What New was given may change afterwards without changing what clients get.
func TestConfigurationIsFrozen(t *testing.T) {
	t.Parallel()
	var given Config
	k := newKit(t, func(c *Config) { given = *c })
	given.Clients["shop"].Claims["tenant"] = "evil"
	given.Clients["shop"].Audiences["orders-api"][0] = "secrets:read"
	given.Clients["shop"].GrantTypes[0] = "none"
	delete(given.Clients, "single")
	a := k.token(t, shop())
	if _, payload := decoded(t, k.jwt(t, a.AccessToken, "orders-api")); payload["tenant"] != "acme-canary-claim" || a.Scope != "orders:read orders:write" {
		t.Errorf("after a change of the configuration: tenant %v, scope %q", payload["tenant"], a.Scope)
	}
}
