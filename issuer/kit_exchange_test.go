package issuer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
	"github.com/coatcheck/coatcheck/issuer/trust/trusttest"
)

// withExchange adds clients that exchange to those of the kit, and an identity provider that some of them may use.
//
//	broker    exchanges references of shop and its own, and brings actors
//	orders    is the service orders-api, and exchanges the JWTs that it receives
//	nosy      is the same service, and may exchange references of shop but no JWTs
//	portal    brings tokens of the provider, by both grants
func withExchange(t testing.TB, idp *trusttest.Issuer) func(*Config) {
	secret := hashed(t, shopSecret)
	both := map[string][]string{"orders-api": {"orders:read", "orders:write"}, "billing-api": {"invoices:read"}}
	return func(c *Config) {
		add := func(id string, x clients.Client) {
			x.Secret, x.GrantTypes = secret, append(x.GrantTypes, clientCredentials, tokenExchange)
			c.Clients[id] = x
		}
		add("broker", clients.Client{Audiences: both, Exchange: clients.Exchange{References: []string{"shop", "broker"}, Actors: true}})
		add("orders", clients.Client{
			Audiences: map[string][]string{"orders-api": {"orders:read"}, "billing-api": {"invoices:read"}}, DefaultAudiences: []string{"billing-api"},
			Serves: []string{"orders-api"}, Exchange: clients.Exchange{JWTs: true, Actors: true},
		})
		add("nosy", clients.Client{Audiences: both, Serves: []string{"orders-api"}, Exchange: clients.Exchange{References: []string{"shop"}}})
		add("portal", clients.Client{Audiences: both, DefaultAudiences: []string{"orders-api"}, GrantTypes: []string{jwtBearer}})
		a := c.Audiences["orders-api"]
		a.Claims = []string{"tenant", "staff_tenant"}
		c.Audiences["orders-api"] = a
		if idp != nil {
			c.Trusted = map[string]Trusted{"staff": {Clients: []string{"portal"}, Config: trust.Config{
				Issuer: trusttest.Name, Audience: trusttest.Audience, JWKSURL: idp.URL, Algorithms: []string{"RS256"}, Types: []string{"JWT"},
				Claims: map[string]string{"staff_tenant": "tenant_id"}, Cooldown: time.Second,
			}}}
		}
	}
}

// exchangeOf is a form by which a client exchanges a token; pairs add to it or, with "", take away.
func exchangeOf(client, token, kind string, pairs ...string) url.Values {
	f := url.Values{
		"grant_type": {tokenExchange}, "client_id": {client}, "client_secret": {shopSecret},
		"subject_token": {token}, "subject_token_type": {kind},
	}
	for n := 0; n < len(pairs); n += 2 {
		if f.Set(pairs[n], pairs[n+1]); pairs[n+1] == "" {
			f.Del(pairs[n])
		}
	}
	return f
}

// bearerOf is a form by which portal brings an assertion.
func bearerOf(token string, pairs ...string) url.Values {
	f := url.Values{"grant_type": {jwtBearer}, "client_id": {"portal"}, "client_secret": {shopSecret}, "assertion": {token}}
	for n := 0; n < len(pairs); n += 2 {
		f.Set(pairs[n], pairs[n+1])
	}
	return f
}

// of is a form by which a client gets a token for itself.
func of(client string, pairs ...string) url.Values {
	return shop(append([]string{"client_id", client}, pairs...)...)
}

// decoded are the claims of the JWT that the service of an audience receives for a reference.
func (k *kit) decoded(t testing.TB, reference, audience string) (c map[string]any) {
	t.Helper()
	if err := k.verified(t, k.jwt(t, reference, audience), audience).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// refusedExchange checks the answer to a form that gets nothing.
func (k *kit) refusedExchange(t testing.TB, what string, f url.Values, code string) {
	t.Helper()
	status := http.StatusBadRequest
	if code == "temporarily_unavailable" {
		status = http.StatusServiceUnavailable
	}
	wantRefusal(t, what, k.post(t, f, nil), status, code)
}

// expiresOf is the exp of what a reference stands for.
func (k *kit) expiresOf(t testing.TB, reference string) time.Time {
	t.Helper()
	return k.swap(t, reference).ExpiresAt()
}

func (k *kit) family(t testing.TB, reference string) string {
	t.Helper()
	return k.inspect(t, k.jti(t, reference)).Family
}

// jsonOf is a value as JSON.
func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
