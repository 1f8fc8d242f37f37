package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/envelope"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

// billingKey opens what is encrypted for billing-api in these tests; ordersKey is the neighbour's.
var (
	billingKey = sync.OnceValue(newECKey)
	ordersKey  = sync.OnceValue(newECKey)
)

func newECKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// sealedTo encrypts an audience's JWTs to a key.
func sealedTo(t testing.TB, audience, algorithm string, public any) func(*Config) {
	t.Helper()
	key, err := verifier.NewEncryptionKey(public, algorithm, "")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		a := c.Audiences[audience]
		a.Envelope = &envelope.Recipient{Keys: verifier.EncryptionKeys{key}}
		c.Audiences[audience] = a
	}
}

func showing(audience string, claims ...string) func(*Config) {
	return func(c *Config) {
		a := c.Audiences[audience]
		a.Claims = append([]string{}, claims...)
		c.Audiences[audience] = a
	}
}

// opening is a service's verifier.
func (k *kit) opening(t testing.TB, audience string, keys ...*ecdsa.PrivateKey) *verifier.Verifier {
	t.Helper()
	c := verifier.Config{Keys: k.Keys()}
	for _, one := range keys {
		c.Decryption = append(c.Decryption, verifier.DecryptionKey{Private: one})
	}
	v, err := verifier.New(testIssuer, audience, c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Two services of one grant: the one reads what only it can open, and the other is served as ever.
func TestEncryptedTokenReachesItsServiceAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t, sealedTo(t, "billing-api", "", billingKey().Public()))
	a := k.token(t, shop("scope", "orders:read invoices:read"))
	sealed, plain := k.jwt(t, a.AccessToken, "billing-api"), k.jwt(t, a.AccessToken, "orders-api")
	if strings.Count(sealed, ".") != 4 || strings.Count(plain, ".") != 2 {
		t.Fatalf("billing gets %d dots and orders %d, want a JWE and a JWS", strings.Count(sealed, "."), strings.Count(plain, "."))
	}
	got, err := k.opening(t, "billing-api", billingKey()).Verify(t.Context(), sealed)
	if err != nil || got.ClientID != "shop" || !got.HasScope("invoices:read") {
		t.Errorf("billing reads %+v, %v", got, err)
	}
	for name, v := range map[string]*verifier.Verifier{
		"a service with another key":           k.opening(t, "billing-api", ordersKey()),
		"a service without a key":              k.opening(t, "billing-api"),
		"the neighbour, with billing's key":    k.opening(t, "orders-api", billingKey()),
		"the neighbour, with a key of its own": k.opening(t, "orders-api", ordersKey()),
	} {
		if c, err := v.Verify(t.Context(), sealed); err == nil {
			t.Errorf("%s reads %+v", name, c)
		}
	}
	if _, err := k.opening(t, "billing-api", billingKey()).Verify(t.Context(), plain); err == nil {
		t.Error("billing takes a token that is not encrypted")
	}
	if strings.Contains(k.log.String(), sealed) {
		t.Error("the log has the token")
	}
}

// S2, between two services that both get encrypted tokens: whoever opens its own token can encrypt what is inside to its
// neighbour, whose key is public. The neighbour opens it, and refuses it for its audience.
func TestS2_AnEncryptedTokenForwardedToANeighbourIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, sealedTo(t, "billing-api", "", billingKey().Public()), sealedTo(t, "orders-api", "", ordersKey().Public()))
	plain := newKit(t)
	signed := plain.jwt(t, plain.token(t, shop("scope", "orders:read")).AccessToken, "orders-api")
	again, err := k.register.services["billing-api"].envelope.Wrap(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := plain.opening(t, "billing-api", billingKey()).Verify(t.Context(), again); err == nil {
		t.Errorf("billing takes the token of orders, wrapped anew: %+v", c)
	}
	again, err = k.register.services["orders-api"].envelope.Wrap(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	// The token inside is ours like any other: it is what a service presents when it asks the issuer about it.
	if _, err := plain.opening(t, "orders-api", ordersKey()).Verify(t.Context(), again); err != nil {
		t.Errorf("orders opens its own token: %v", err)
	}
	plain.verified(t, signed, "orders-api")
}

type noKeys struct{ err error }

func (n noKeys) Key(context.Context, string) (verifier.Key, error) { return verifier.Key{}, n.err }

// No key, no token: nothing is issued, and least of all something that everybody can read.
func TestNoEncryptionKeyNoToken(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"away": verifier.ErrKeysUnavailable, "not published": verifier.ErrUnknownKey} {
		k := newKit(t, func(c *Config) {
			a := c.Audiences["billing-api"]
			a.Envelope = &envelope.Recipient{Keys: noKeys{err}}
			c.Audiences["billing-api"] = a
		})
		for _, scope := range []string{"invoices:read", "orders:read invoices:read"} {
			w := k.post(t, shop("scope", scope), nil)
			wantRefusal(t, "key "+name+", scope "+scope, w, 503, "temporarily_unavailable")
			if w.Header().Get("Retry-After") == "" {
				t.Errorf("key %s: no Retry-After", name)
			}
		}
		k.token(t, shop("scope", "orders:read")) // its own audiences are not held up by a neighbour
	}
}

// Who writes the store can put one token where another was; the manifest says which belongs there, by the hash of what is
// stored, encrypted as it is. The check is that of the edge, and the Depositor makes it before anything is stored.
func TestAWriterOfTheStoreMovesNoEncryptedToken(t *testing.T) {
	t.Parallel()
	k := newKit(t, sealedTo(t, "billing-api", "", billingKey().Public()), sealedTo(t, "orders-api", verifier.ECDHESA256KW, ordersKey().Public()))
	r, err := k.keeper.Current()
	if err != nil {
		t.Fatal(err)
	}
	since, now := k.depositor.Since(), time.Now().Truncate(time.Second)
	make1 := func() (exchange.Reference, exchange.Deposit) {
		t.Helper()
		c := k.register.clients.Lookup("shop")
		reference := k.depositor.Reference()
		g := grant{
			client: c, basis: basis{subject: clientSubject("shop")}, jti: reference.JTI(), issuedAt: now, expires: now.Add(c.TTL), since: since,
			shares: []share{{"billing-api", c.Audiences["billing-api"]}, {"orders-api", c.Audiences["orders-api"]}},
		}
		d, err := k.mint(t.Context(), r, g)
		if err != nil {
			t.Fatal(err)
		}
		return reference, d
	}
	_, victim := make1()
	for name, move := range map[string]func(own map[string]exchange.Token){
		"":                                 func(map[string]exchange.Token) {},
		"the victim's token in own record": func(own map[string]exchange.Token) { own["billing-api"] = victim.Tokens["billing-api"] },
		"under the neighbour's label": func(own map[string]exchange.Token) {
			own["orders-api"], own["billing-api"] = own["billing-api"], own["orders-api"]
		},
		"the signed token in the place of the encrypted": func(own map[string]exchange.Token) { own["billing-api"] = exchange.NewToken(victim.Manifest) },
	} {
		reference, own := make1()
		move(own.Tokens)
		if err := k.depositor.Deposit(t.Context(), reference, own); (err == nil) != (name == "") {
			t.Errorf("deposit with %q = %v, want it refused unless nothing was moved", name, err)
		}
	}
}

// A JWE is half as long again as what is in it. One that does not fit is an error that names the mend, and nothing goes out.
func TestEncryptedTokenThatIsTooLarge(t *testing.T) {
	t.Parallel()
	large := func(c *Config) {
		one := c.Clients["shop"]
		one.Claims = map[string]any{"note": strings.Repeat("x", 1900)}
		c.Clients["shop"] = one
	}
	k := newKit(t, large)
	k.token(t, shop("scope", "invoices:read"))
	k = newKit(t, large, sealedTo(t, "billing-api", "", billingKey().Public()))
	wantRefusal(t, "claims of 1900 bytes, encrypted", k.post(t, shop("scope", "invoices:read"), nil), 500, "server_error")
	if !strings.Contains(k.log.String(), "list fewer for the audience") {
		t.Errorf("the log does not name the mend: %s", k.log)
	}
	k = newKit(t, large, showing("billing-api"), sealedTo(t, "billing-api", "", billingKey().Public()))
	k.token(t, shop("scope", "invoices:read"))
}

// What the service of an audience sees of a grant: listed claims of both kinds; without a list those of the client alone.
func TestClaimsPerAudience(t *testing.T) {
	t.Parallel()
	raw := func(pairs ...string) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		for n := 0; n < len(pairs); n += 2 {
			m[pairs[n]] = json.RawMessage(pairs[n+1])
		}
		return m
	}
	client, subject := raw("tenant", `"acme"`, "plan", `3`), raw("tenant", `"evil"`, "email", `"a@example.com"`, "roles", `["buyer"]`)
	for name, row := range map[string]struct {
		listed []string
		want   map[string]json.RawMessage
	}{
		"no list":                {nil, client},
		"an empty list":          {[]string{}, raw()},
		"a claim of the client":  {[]string{"plan"}, raw("plan", `3`)},
		"a claim of the subject": {[]string{"email", "plan"}, raw("email", `"a@example.com"`, "plan", `3`)},
		"one that both have":     {[]string{"tenant"}, raw("tenant", `"acme"`)},
		"one that nobody has":    {[]string{"phone"}, raw()},
		"one in other letters":   {[]string{"Tenant", "EMAIL"}, raw()},
		"all of them":            {[]string{"tenant", "plan", "email", "roles"}, raw("tenant", `"acme"`, "plan", `3`, "email", `"a@example.com"`, "roles", `["buyer"]`)},
	} {
		a, err := newAudience(Audience{Claims: row.listed})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, a.visible(client, subject)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	k := newKit(t, showing("orders-api", "plan"))
	a := k.token(t, shop("scope", "orders:read invoices:read"))
	if _, payload := decoded(t, k.jwt(t, a.AccessToken, "orders-api")); payload["tenant"] != nil {
		t.Errorf("orders-api sees tenant %v, which is not listed for it", payload["tenant"])
	}
	if _, payload := decoded(t, k.jwt(t, a.AccessToken, "billing-api")); payload["tenant"] != "acme-canary-claim" {
		t.Errorf("billing-api, without a list, sees tenant %v", payload["tenant"])
	}
}

// BenchmarkMintEncrypted is BenchmarkMint with the JWT encrypted.
func BenchmarkMintEncrypted(b *testing.B) {
	far, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range []struct {
		algorithm string
		public    any
	}{{verifier.ECDHES, billingKey().Public()}, {verifier.ECDHESA256KW, billingKey().Public()}, {verifier.RSAOAEP256, far.Public()}} {
		b.Run(strings.ReplaceAll(row.algorithm, "+", "_"), func(b *testing.B) { benchmarkMint(b, sealedTo(b, "orders-api", row.algorithm, row.public)) })
	}
}
