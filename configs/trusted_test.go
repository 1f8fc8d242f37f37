package configs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
)

// The identity providers of the documentation load as they stand there.
func TestTrustedIssuersOfTheDocumentationLoad(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/token-exchange.md")
	if err != nil {
		t.Fatal(err)
	}
	const base = `version: 1
issuer: https://auth.example.com
listen: {gateway: "127.0.0.1:8080", issuer: "127.0.0.1:8081"}
store: memory
keys: {encryption_key_file: DIR/kek}
tokens: {stamp_keys_file: DIR/stamp}
audiences:
  orders-api: {scopes: {"orders:read": Read orders}}
  billing-api: {scopes: {"invoices:read": Read invoices}}
upstreams: {orders: {url: "http://127.0.0.1:9000"}}
routes: [{name: orders, match: "GET /orders", upstream: orders, audience: orders-api}]
`
	const portal = `clients:
  portal: {secret_file: DIR/shop, grant_types: [jwt-bearer], audiences: {orders-api: ["orders:read"]}}
`
	found := 0
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		if found++; !strings.HasPrefix(text, "clients:") {
			text += portal
		}
		dir := secrets(t)
		text = strings.NewReplacer("DIR", dir, "/run/secrets", dir).Replace(base + text)
		l, err := loadText(t, dir, text, configs.RoleAll, nil)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for alias, trusted := range l.Issuer.Trusted {
			if trusted.Clients[0] != "portal" || trusted.Issuer == "" || trusted.JWKSURL == "" {
				t.Errorf("%s: loaded as %+v", alias, trusted)
			}
		}
	}
	if found < 5 {
		t.Errorf("the page has %d configurations, want four providers and a service", found)
	}
}
