package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/trust/trusttest"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/google/go-cmp/cmp"
)

const bothAudiences = "orders:read orders:write invoices:read"

// X1: what must be there, and what must not.
func TestX1_TokensAndTheirTypesGoTogether(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	token := k.token(t, shop()).AccessToken
	actor := k.token(t, of("broker", "scope", "orders:read")).AccessToken
	for name, f := range map[string]url.Values{
		"no subject_token":               exchangeOf("broker", "", accessTokenType),
		"no subject_token_type":          exchangeOf("broker", token, ""),
		"actor_token without its type":   exchangeOf("broker", token, accessTokenType, "actor_token", actor),
		"actor_token_type without token": exchangeOf("broker", token, accessTokenType, "actor_token_type", accessTokenType),
		"an unknown subject_token_type":  exchangeOf("broker", token, "urn:ietf:params:oauth:token-type:saml2"),
		"a refresh token wanted":         exchangeOf("broker", token, accessTokenType, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
		"a JWT wanted":                   exchangeOf("broker", token, accessTokenType, "requested_token_type", jwtType),
	} {
		k.refusedExchange(t, name, f, "invalid_request")
	}
	k.token(t, exchangeOf("broker", token, accessTokenType, "scope", "orders:read", "requested_token_type", accessTokenType))
}

// X2: a token is what it is, and not what it is called.
func TestX2_TypesAreLookedAtAndNotBelieved(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withExchange(t, idp))
	reference, another := k.token(t, shop()).AccessToken, k.token(t, shop()).AccessToken
	jwt := k.jwt(t, reference, "orders-api")
	ours := func(typ string, pairs ...any) string {
		return k.signed(t, typ, claimsOf("shop", append([]any{"jti", k.jti(t, reference)}, pairs...)...))
	}
	for name, f := range map[string]url.Values{
		"a reference called a JWT":               exchangeOf("broker", reference, jwtType),
		"our JWT called an access token":         exchangeOf("orders", jwt, accessTokenType),
		"a foreign JWT called an access token":   exchangeOf("portal", idp.Token(t, trusttest.Claims()), accessTokenType),
		"an ID token of ours":                    exchangeOf("orders", ours("JWT"), jwtType),
		"an introspection answer of ours":        exchangeOf("orders", ours("token-introspection+jwt"), jwtType),
		"a manifest of ours":                     exchangeOf("orders", ours(exchange.ManifestType), jwtType),
		"a JWT of ours without origin":           exchangeOf("orders", ours(tokenType), jwtType),
		"a JWT of ours with an origin moved in":  exchangeOf("orders", ours(tokenType, "jti", k.jti(t, another), "origin", k.decoded(t, reference, "orders-api")["origin"]), jwtType),
		"a refresh token called an access token": exchangeOf("broker", strings.Replace(reference, "_", "r_", 1), accessTokenType),
		"a reference with its end cut off":       exchangeOf("broker", reference[:len(reference)-1], accessTokenType),
		"a JWT that another key signed":          exchangeOf("orders", jwt[:len(jwt)-20]+strings.Repeat("A", 20), jwtType),
		"a foreign class of token":               exchangeOf("portal", idp.Signed(t, `"typ":"logout+jwt"`, jsonOf(t, trusttest.Claims())), jwtType),
		"junk":                                   exchangeOf("portal", "....", jwtType),
	} {
		k.refusedExchange(t, name, f, "invalid_request")
	}
	k.token(t, exchangeOf("orders", jwt, jwtType, "scope", "orders:read"))
}

// X3: the answer says what was issued.
func TestX3_TheAnswerSaysWhatWasIssued(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	token := k.token(t, shop("scope", bothAudiences)).AccessToken
	w := k.post(t, exchangeOf("broker", token, accessTokenType, "audience", "orders-api"), nil)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"token_type": "Bearer", "issued_token_type": accessTokenType, "scope": "orders:read orders:write", "access_token": got["access_token"], "expires_in": got["expires_in"]}
	if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusOK {
		t.Errorf("status %d, answer (-want +got):\n%s", w.Code, diff)
	}
	if keep := w.Header().Get("Cache-Control"); keep != "no-store" {
		t.Errorf("Cache-Control %q", keep)
	}
	// Of another grant it says no issued_token_type.
	if strings.Contains(k.post(t, shop(), nil).Body.String(), "issued_token_type") {
		t.Error("client_credentials answers with issued_token_type")
	}
}

// X4: what was wrong has its own code.
func TestX4_WhatIsWrongHasItsCode(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	token := k.token(t, shop("scope", "orders:read")).AccessToken
	for name, row := range map[string]struct {
		form url.Values
		code string
	}{
		"a subject that is no token":         {exchangeOf("broker", "x", accessTokenType), "invalid_request"},
		"an actor that is no token":          {exchangeOf("broker", token, accessTokenType, "actor_token", "x", "actor_token_type", accessTokenType), "invalid_request"},
		"an unknown audience":                {exchangeOf("broker", token, accessTokenType, "audience", "nowhere"), "invalid_target"},
		"an audience of others":              {exchangeOf("broker", token, accessTokenType, "audience", "secret-api"), "invalid_target"},
		"an audience that the subject lacks": {exchangeOf("broker", token, accessTokenType, "audience", "billing-api"), "invalid_target"},
		"a scope that the subject lacks":     {exchangeOf("broker", token, accessTokenType, "scope", "orders:write"), "invalid_scope"},
		"a grant that the client lacks":      {exchangeOf("shop", token, accessTokenType), "unauthorized_client"},
	} {
		k.refusedExchange(t, name, row.form, row.code)
	}
}

// X5: nothing that comes of a subject is more than it: neither scopes nor audiences nor life, however often.
func TestX5_TheResultIsNeverMoreThanItsSubject(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	parent := k.token(t, shop("scope", "orders:read invoices:read")).AccessToken
	child := k.token(t, exchangeOf("broker", parent, accessTokenType, "audience", "orders-api"))
	if child.Scope != "orders:read" {
		t.Errorf("scope %q, want that of the subject", child.Scope)
	}
	if got, want := k.expiresOf(t, child.AccessToken), k.expiresOf(t, parent); got.After(want) {
		t.Errorf("ends at %v, its subject at %v", got, want)
	}
	if c := k.decoded(t, child.AccessToken, "orders-api"); c["sub"] != "client:shop" || c["client_id"] != "broker" {
		t.Errorf("sub %v, client_id %v", c["sub"], c["client_id"])
	}
	// The child reaches no further than itself.
	k.refusedExchange(t, "back to a wider audience", exchangeOf("broker", child.AccessToken, accessTokenType, "audience", "billing-api"), "invalid_target")
	// A client whose tokens live for long gets no longer life out of it either, nor one that goes round in a circle.
	token := child.AccessToken
	for n := 2; n <= maxDepth; n++ {
		token = k.token(t, exchangeOf("broker", token, accessTokenType, "scope", "orders:read")).AccessToken
		if got, want := k.expiresOf(t, token), k.expiresOf(t, parent); got.After(want) {
			t.Errorf("depth %d: ends at %v, the first at %v", n, got, want)
		}
	}
	k.refusedExchange(t, "once more", exchangeOf("broker", token, accessTokenType, "scope", "orders:read"), "invalid_request")
}

// X6: who acts stands in act, the last one first; and may_act is kept to.
func TestX6_ActorsAreNestedAndMayActIsKept(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withExchange(t, idp), func(c *Config) {
		broker := c.Clients["broker"]
		broker.Exchange.References = []string{"shop", "broker", "orders", "portal"}
		c.Clients["broker"] = broker
		portal := c.Clients["portal"]
		portal.Exchange.Actors = true
		c.Clients["portal"] = portal
	})
	self := func(client string) string { return k.token(t, of(client, "scope", "orders:read")).AccessToken }
	token := k.token(t, shop("scope", "orders:read")).AccessToken
	by := func(client, token, actor string) url.Values {
		return exchangeOf(client, token, accessTokenType, "scope", "orders:read", "actor_token", actor, "actor_token_type", accessTokenType)
	}
	first := k.token(t, by("broker", token, self("orders"))).AccessToken
	second := k.token(t, by("broker", first, self("broker"))).AccessToken
	want := map[string]any{"sub": "client:broker", "act": map[string]any{"sub": "client:orders"}}
	if diff := cmp.Diff(want, k.decoded(t, second, "orders-api")["act"]); diff != "" {
		t.Errorf("act (-want +got):\n%s", diff)
	}
	// Without an actor the chain stays as it is.
	if diff := cmp.Diff(want, k.decoded(t, k.token(t, exchangeOf("broker", second, accessTokenType, "scope", "orders:read")).AccessToken, "orders-api")["act"]); diff != "" {
		t.Errorf("act, after an exchange without actor (-want +got):\n%s", diff)
	}
	k.refusedExchange(t, "an actor who acts for another", by("broker", token, first), "invalid_request")
	k.refusedExchange(t, "a client that may bring no actor", by("nosy", token, self("nosy")), "invalid_request")

	foreign := func(pairs ...any) string { return idp.Token(t, trusttest.Claims(pairs...)) }
	names := func(sub, iss string) map[string]any { return map[string]any{"sub": sub, "iss": iss} }
	portal := self("portal")
	actorIs := []string{"actor_token", portal, "actor_token_type", accessTokenType}
	for name, row := range map[string]struct {
		mayAct any
		with   []string
		ok     bool
	}{
		"the client itself":               {names("client:portal", testIssuer), nil, true},
		"the actor":                       {names("client:portal", testIssuer), actorIs, true},
		"somebody else":                   {names("client:broker", testIssuer), nil, false},
		"somebody else, beside an actor":  {names("client:broker", testIssuer), actorIs, false},
		"somebody of that name elsewhere": {map[string]any{"sub": "client:portal"}, nil, false},
		"somebody of an unknown issuer":   {names("client:portal", "https://else.example"), nil, false},
		"a foreign actor":                 {map[string]any{"sub": "joe"}, []string{"actor_token", foreign("sub", "joe"), "actor_token_type", jwtType}, true},
	} {
		f := exchangeOf("portal", foreign("may_act", row.mayAct), jwtType, append([]string{"audience", "orders-api"}, row.with...)...)
		if row.ok {
			k.token(t, f)
		} else {
			k.refusedExchange(t, name, f, "invalid_request")
		}
	}
	k.refusedExchange(t, "may_act by jwt-bearer", bearerOf(foreign("may_act", names("client:broker", testIssuer))), "invalid_grant")
}

// X6: a chain of actors ends.
func TestX6_TheChainOfActorsIsBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	self := k.token(t, of("broker", "scope", "orders:read")).AccessToken
	token := k.token(t, shop("scope", "orders:read")).AccessToken
	f := func() url.Values {
		return exchangeOf("broker", token, accessTokenType, "scope", "orders:read", "actor_token", self, "actor_token_type", accessTokenType)
	}
	for range maxDepth {
		token = k.token(t, f()).AccessToken
	}
	k.refusedExchange(t, "one more actor", f(), "invalid_request")
}

// X7: a dead subject is refused, in whichever form it comes.
func TestX7_DeadSubjectsAreRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	reference := k.token(t, shop("scope", "orders:read invoices:read")).AccessToken
	jwt := k.jwt(t, reference, "orders-api")
	child := k.token(t, exchangeOf("orders", jwt, jwtType, "scope", "invoices:read")).AccessToken
	if got, want := k.family(t, child), k.family(t, reference); got != want {
		t.Errorf("the child is of the family %q, its parent of %q", got, want)
	}
	wantRevoked(t, "revoke", k.postRevoke(t, revocationOf(reference), nil))
	k.refusedExchange(t, "the reference", exchangeOf("broker", reference, accessTokenType, "scope", "orders:read"), "invalid_request")
	k.refusedExchange(t, "the JWT", exchangeOf("orders", jwt, jwtType, "scope", "invoices:read"), "invalid_request")
	k.refusedExchange(t, "a JWT whose grant never was", exchangeOf("orders", k.signed(t, tokenType, claimsOf("shop")), jwtType), "invalid_request")
}

// X8: who breaks into a service has no credential for the edge.
func TestX8_AServiceCannotMakeCredentialsForTheEdge(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	reference := k.token(t, shop("scope", bothAudiences)).AccessToken
	orders, billing := k.jwt(t, reference, "orders-api"), k.jwt(t, reference, "billing-api")
	for name, f := range map[string]url.Values{
		"a service that may not exchange":            exchangeOf("nosy", orders, jwtType, "scope", "orders:read"),
		"a client that is no service":                exchangeOf("broker", orders, jwtType, "scope", "orders:read"),
		"a service with the JWT of its neighbour":    exchangeOf("orders", billing, jwtType, "scope", "invoices:read"),
		"a JWT as actor of one that may not":         exchangeOf("broker", reference, accessTokenType, "scope", "orders:read", "actor_token", orders, "actor_token_type", jwtType),
		"a service with a reference that it has got": exchangeOf("orders", reference, accessTokenType, "scope", "orders:read"),
	} {
		k.refusedExchange(t, name, f, "invalid_request")
	}
	if k.post(t, bearerOf(orders), nil).Code != http.StatusBadRequest {
		t.Error("a JWT of ours passed as an assertion")
	}
	// The one that may gets no more than client and subject share.
	got := k.token(t, exchangeOf("orders", orders, jwtType, "audience", "orders-api"))
	if got.Scope != "orders:read" {
		t.Errorf("scope %q, want what both have", got.Scope)
	}
	if strings.Contains(jsonOf(t, k.decoded(t, reference, "billing-api")), `"origin"`) {
		t.Error("a JWT for a service that may not exchange carries an origin")
	}

	// Nor with that of a neighbour which may exchange its own.
	k = newKit(t, withExchange(t, nil), func(c *Config) {
		neighbour := c.Clients["orders"]
		neighbour.Serves = []string{"billing-api"}
		c.Clients["billing"] = neighbour
	})
	billing = k.jwt(t, k.token(t, shop("scope", bothAudiences)).AccessToken, "billing-api")
	k.refusedExchange(t, "a service with what its neighbour may exchange", exchangeOf("orders", billing, jwtType, "scope", "invoices:read"), "invalid_request")
	k.token(t, exchangeOf("billing", billing, jwtType, "scope", "invoices:read"))
}

// X9: resource names audiences by URI.
func TestX9_ResourceNamesAudiences(t *testing.T) {
	t.Parallel()
	const orders, billing = "https://orders.example.com", "urn:example:billing"
	k := newKit(t, withExchange(t, nil), func(c *Config) {
		a := c.Audiences["billing-api"]
		a.Resource = billing
		c.Audiences["billing-api"] = a
	})
	for name, uri := range map[string]string{
		"unknown": "https://nowhere.example.com", "relative": "/orders", "with a fragment": orders + "#x", "by the name": "orders-api",
		"another spelling": "HTTPS://orders.example.com", "with a slash": orders + "/",
	} {
		k.refusedExchange(t, name, shop("resource", uri), "invalid_target")
	}
	reference := k.token(t, shop("scope", bothAudiences)).AccessToken
	for name, row := range map[string]struct{ resources, audiences, want []string }{
		"one":                 {[]string{orders}, nil, []string{"orders-api"}},
		"repeated":            {[]string{orders, billing}, nil, []string{"billing-api", "orders-api"}},
		"twice the same":      {[]string{orders, orders}, nil, []string{"orders-api"}},
		"beside an audience":  {[]string{billing}, []string{"orders-api"}, []string{"billing-api", "orders-api"}},
		"the audience itself": {[]string{orders}, []string{"orders-api"}, []string{"orders-api"}},
	} {
		for _, f := range []url.Values{shop(), exchangeOf("broker", reference, accessTokenType)} {
			f["resource"], f["audience"] = row.resources, row.audiences
			token := k.token(t, f).AccessToken
			for _, audience := range row.want {
				if got := k.decoded(t, token, audience)["aud"]; got != audience {
					t.Errorf("%s: aud %v, want %s", name, got, audience)
				}
			}
			if _, more := k.swap(t, token).Share("secret-api"); more || len(row.want) == 1 && hasShare(k, t, token, "billing-api") {
				t.Errorf("%s: reaches more than was named", name)
			}
		}
	}
}

func hasShare(k *kit, t *testing.T, token, audience string) bool {
	_, ok := k.swap(t, token).Share(audience)
	return ok
}

// X10: each way into exchange asks who the client is, before it looks at the token.
func TestX10_TheListHoldsOnEveryWay(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withExchange(t, idp), func(c *Config) {
		c.Clients["stranger"] = c.Clients["portal"]
		other := c.Clients["broker"]
		other.Exchange.References = []string{"single"}
		c.Clients["other"] = other
	})
	reference, of2 := k.token(t, shop("scope", "orders:read")).AccessToken, k.token(t, of("single")).AccessToken
	foreign := idp.Token(t, trusttest.Claims())
	actor := func(token, kind string) url.Values {
		return exchangeOf("broker", reference, accessTokenType, "scope", "orders:read", "actor_token", token, "actor_token_type", kind)
	}
	bearer := bearerOf(foreign)
	bearer.Set("client_id", "stranger")
	for name, row := range map[string]struct {
		form url.Values
		code string
	}{
		"a reference of a client not listed":           {exchangeOf("broker", of2, accessTokenType, "scope", "orders:read"), "invalid_request"},
		"a reference, by a client that may use none":   {exchangeOf("portal", reference, accessTokenType), "invalid_request"},
		"its own reference, not listed":                {exchangeOf("nosy", k.token(t, of("nosy", "scope", "orders:read")).AccessToken, accessTokenType), "invalid_request"},
		"a foreign token, by a client not listed":      {exchangeOf("stranger", foreign, jwtType), "invalid_request"},
		"a foreign assertion, by a client not listed":  {bearer, "invalid_grant"},
		"a foreign actor, by a client not listed":      {actor(foreign, jwtType), "invalid_request"},
		"an actor's reference of a client not listed":  {actor(of2, accessTokenType), "invalid_request"},
		"jwt-bearer by a client without the grant":     {url.Values{"grant_type": {jwtBearer}, "client_id": {"broker"}, "client_secret": {shopSecret}, "assertion": {foreign}}, "unauthorized_client"},
		"token exchange by a client without the grant": {exchangeOf("single", of2, accessTokenType), "unauthorized_client"},
	} {
		k.refusedExchange(t, name, row.form, row.code)
	}
	if got := idp.Fetches.Load(); got != 0 {
		t.Errorf("%d key sets were fetched for clients that may not use the issuer", got)
	}
	k.token(t, exchangeOf("portal", foreign, jwtType))
	k.token(t, bearerOf(foreign))
}

// The answer to a dead token and to one of somebody else is the same.
func TestExchangeIsNoOracle(t *testing.T) {
	t.Parallel()
	k := newKit(t, withExchange(t, nil))
	foreign, unknown := k.token(t, of("single")).AccessToken, k.stamper.New().Reveal()
	one := k.post(t, exchangeOf("broker", foreign, accessTokenType), nil).Body.String()
	for name, token := range map[string]string{"unknown": unknown, "junk": "x"} {
		if other := k.post(t, exchangeOf("broker", token, accessTokenType), nil).Body.String(); other != one {
			t.Errorf("%s: %s; of another client: %s", name, other, one)
		}
	}
}

// What cannot be told is never a refusal of the token.
func TestExchangeThatCannotTellIs503(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withExchange(t, idp))
	reference := k.token(t, shop("scope", bothAudiences)).AccessToken
	jwt := k.jwt(t, reference, "orders-api")
	idp.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	k.refusedExchange(t, "foreign keys", exchangeOf("portal", idp.Token(t, trusttest.Claims()), jwtType), "temporarily_unavailable")
	k.refusedExchange(t, "foreign keys, jwt-bearer", bearerOf(idp.Token(t, trusttest.Claims())), "temporarily_unavailable")
	k.grants, k.listing = awayStore{}, awayStore{}
	k.refusedExchange(t, "the store, of a reference", exchangeOf("broker", reference, accessTokenType), "temporarily_unavailable")
	k.refusedExchange(t, "the store, of a JWT", exchangeOf("orders", jwt, jwtType), "temporarily_unavailable")
}

// awayStore is a store that cannot answer.
type awayStore struct{ Listing }

func (awayStore) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return exchange.Pass{}, exchange.SourceMiss, &exchange.Refusal{Reason: exchange.ReasonUnavailable}
}

func (awayStore) Inspect(context.Context, string) (revocation.Listed, error) {
	return revocation.Listed{}, errors.New("the store is away")
}

// A grant of a foreign token speaks for its subject under a name of ours, and ends with the token.
func TestForeignSubjects(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withExchange(t, idp))
	ends := time.Now().Add(90 * time.Second).Truncate(time.Second)
	raw := idp.Token(t, trusttest.Claims("exp", ends.Unix(), "sub", "client:shop", "client_id", "shop", "scope", "secrets:read", "jti", "x"))
	for name, f := range map[string]url.Values{"token exchange": exchangeOf("portal", raw, jwtType), "jwt-bearer": bearerOf(raw)} {
		token := k.token(t, f).AccessToken
		c := k.decoded(t, token, "orders-api")
		if c["sub"] != "staff:client:shop" || c["client_id"] != "portal" || c["scope"] != "orders:read orders:write" || c["staff_tenant"] != "acme" || c["jti"] == "x" {
			t.Errorf("%s: claims %v", name, c)
		}
		if got := k.expiresOf(t, token); got.After(ends) {
			t.Errorf("%s: ends at %v, its subject at %v", name, got, ends)
		}
	}
}
