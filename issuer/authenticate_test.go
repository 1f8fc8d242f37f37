package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/google/go-cmp/cmp"
)

func TestT5_BasicIsFormUrlencoded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if w := k.post(t, grantOnly(), basic("odd:id%+", oddSecret)); w.Code != http.StatusOK {
		t.Errorf("encoded id and secret: got %d %s, want 200", w.Code, w.Body)
	}
	raw := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("odd:id%+:"+oddSecret))}}
	wantRefusal(t, "id and secret not encoded", k.post(t, grantOnly(), raw), 401, "invalid_client")
	for _, secret := range []string{"a:b", "a%b", "a%41", "a+b", "a b", "ümläut", "€", "a&b=c", "%", ":", "+", "a\tb"} {
		id := "id:" + secret
		c, err := parseBasic(basic(id, secret).Get("Authorization"))
		if err != nil || c.id != id || c.secret == nil || c.secret() != secret {
			t.Errorf("Basic of %q: got %q, %v", secret, c.id, err)
		}
	}
}

func TestT6_TwoWaysOfAuthenticationAreRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	assertion := []string{"client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
	withAssertion := grantOnly()
	withAssertion.Set(assertion[0], assertion[1])
	twice := basic("shop", shopSecret)
	twice.Add("Authorization", twice.Get("Authorization"))
	for _, row := range []struct {
		name string
		form url.Values
		head http.Header
	}{
		{"Basic and body", shop(), basic("shop", shopSecret)},
		{"Basic and an assertion", withAssertion, basic("shop", shopSecret)},
		{"body and an assertion", shop(assertion...), nil},
		{"Basic twice", grantOnly(), twice},
		{"Basic and another client_id", url.Values{"grant_type": {"client_credentials"}, "client_id": {"single"}}, basic("shop", shopSecret)},
	} {
		wantRefusal(t, row.name, k.post(t, row.form, row.head), 400, "invalid_request")
	}
	same := url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}}
	if w := k.post(t, same, basic("shop", shopSecret)); w.Code != http.StatusOK {
		t.Errorf("Basic and the same client_id, which is no second way: got %d %s, want 200", w.Code, w.Body)
	}
	wantRefusal(t, "an assertion alone, which is none", k.post(t, withAssertion, nil), 401, "invalid_client")
}

func TestT8_PublicClientsHaveNoClientCredentials(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	f := grantOnly()
	f.Set("client_id", "public")
	wantRefusal(t, "public client by its id", k.post(t, f, nil), 400, "unauthorized_client")
	wantRefusal(t, "public client by Basic without secret", k.post(t, grantOnly(), basic("public", "")), 400, "unauthorized_client")
	f.Set("client_secret", shopSecret)
	wantRefusal(t, "public client with somebody's secret", k.post(t, f, nil), 401, "invalid_client")
}

func TestT12_FailedAuthenticationIsOneAnswer(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	want := k.post(t, grantOnly(), basic("shop", "wrong-secret-0123456789"))
	wantRefusal(t, "wrong secret", want, 401, "invalid_client")
	if got := want.Header().Get("WWW-Authenticate"); got != basicChallenge {
		t.Errorf("WWW-Authenticate %q, want %q", got, basicChallenge)
	}
	body := func(id, secret string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	}
	for _, row := range []struct {
		name string
		form url.Values
		head http.Header
	}{
		{"unknown id", grantOnly(), basic("nobody", shopSecret)},
		{"unknown id in the body", body("nobody", shopSecret), nil},
		{"wrong secret in the body", body("shop", "wrong-secret-0123456789"), nil},
		{"another client's secret", grantOnly(), basic("old", shopSecret)},
		{"right secret with a space more", grantOnly(), basic("shop", shopSecret+" ")},
		{"wrong secret of an argon2id client", grantOnly(), basic("old", "wrong")},
		{"unknown id, whose decoy's secret is right", body("nobody", oldSecret), nil},
		{"no secret", url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}}, nil},
		{"no secret, unknown id", url.Values{"grant_type": {"client_credentials"}, "client_id": {"nobody"}}, nil},
		{"no credentials at all", grantOnly(), nil},
		{"not base64", grantOnly(), http.Header{"Authorization": {"Basic !!!"}}},
		{"no colon", grantOnly(), http.Header{"Authorization": {"Basic c2hvcA=="}}},
		{"bad escape", grantOnly(), http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("shop:%zz"))}}},
		{"another scheme", grantOnly(), http.Header{"Authorization": {"Bearer " + shopSecret}}},
		{"an empty field", grantOnly(), http.Header{"Authorization": {""}}},
		{"unknown grant and unknown id", url.Values{"grant_type": {"password"}}, basic("nobody", shopSecret)},
	} {
		got := k.post(t, row.form, row.head)
		if got.Code != want.Code || got.Body.String() != want.Body.String() {
			t.Errorf("%s: got %d %s, want the same as for a wrong secret: %d %s", row.name, got.Code, got.Body, want.Code, want.Body)
		}
		if diff := cmp.Diff(want.Header(), got.Header()); diff != "" {
			t.Errorf("%s: headers differ from those for a wrong secret (-want +got):\n%s", row.name, diff)
		}
	}
	if w := k.post(t, body("old", oldSecret), nil); w.Code != http.StatusOK {
		t.Errorf("right secret of an argon2id client: got %d %s, want 200", w.Code, w.Body)
	}
}

// The client learns nothing of why, the log all of it, but for what was typed.
func TestLogTellsFailedAuthenticationsApart(t *testing.T) {
	t.Parallel()
	const plusSecret = "base64+secret/0123456789abcdef=="
	k := newKit(t, func(c *Config) {
		c.Clients["plus"] = clients.Client{Secret: hashed(t, plusSecret), GrantTypes: []string{clientCredentials}, Audiences: map[string][]string{"orders-api": nil}}
	})
	raw := func(joined string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(joined))}}
	}
	for _, row := range []struct {
		cause string
		form  url.Values
		head  http.Header
	}{
		{"unknown client", grantOnly(), basic("nobody", plusSecret)},
		{"unknown client", grantOnly(), raw("nobody:" + plusSecret)},
		{"wrong secret", grantOnly(), basic("plus", plusSecret+"+")},
		{"wrong secret", grantOnly(), raw("plus:" + plusSecret + "+")},
		{"right secret, not encoded: " + encodeFirst, grantOnly(), raw("plus:" + plusSecret)},
		{"the Basic credentials have a % that begins no escape: " + encodeFirst, grantOnly(), raw("plus:%zz" + plusSecret)},
		{"the Basic credentials have no colon", grantOnly(), raw(plusSecret)},
		{"the Basic credentials are not base64", grantOnly(), http.Header{"Authorization": {"Basic " + plusSecret + "!"}}},
		{"the Authorization field is not Basic", grantOnly(), http.Header{"Authorization": {"Bearer " + plusSecret}}},
		{"no secret was sent", grantOnly(), nil},
		{"the client has no secret", grantOnly(), basic("public", plusSecret)},
		{"client_assertion_type is not " + assertionType, url.Values{"client_assertion": {plusSecret}}, nil},
		{"unknown client", url.Values{"client_assertion": {plusSecret}, "client_assertion_type": {assertionType}}, nil},
	} {
		before := len(k.log.String())
		w := k.post(t, row.form, row.head)
		wantRefusal(t, row.cause, w, 401, "invalid_client")
		var got struct{ Reason, Error, Address string }
		if err := json.Unmarshal([]byte(k.log.String()[before:]), &got); err != nil {
			t.Fatalf("%s: not one line: %v", row.cause, err)
		}
		if got.Reason != wrongCredentials || got.Error != row.cause || got.Address != "192.0.2.1" {
			t.Errorf("%v %v: the log says %+v, want the error %q", row.form, row.head, got, row.cause)
		}
		if strings.Contains(w.Body.String(), row.cause) {
			t.Errorf("the answer tells the cause: %s", w.Body)
		}
	}
	if strings.Contains(k.log.String(), "base64+secret") {
		t.Error("the log holds the secret")
	}
}

// The same timing class: for an unknown id a configured hash is compared with, always the same one for the same id,
// so that where slow and fast hashes are mixed an unknown id looks like either kind of client.
func TestT12_UnknownIDCostsWhatAKnownOneCosts(t *testing.T) {
	t.Parallel()
	a, another := newKit(t).clients, newKit(t).clients
	slow := 0
	for n := range 1000 {
		id := "nobody" + string(rune('a'+n%26)) + string(rune('a'+n/26))
		h, own := a.hashFor(id)
		if again, _ := another.hashFor(id); h.IsZero() || own || h.Slow() != again.Slow() {
			t.Fatalf("hashFor(%q) is none, or of another kind at another issuer", id)
		}
		if h.Slow() {
			slow++
		}
	}
	if slow == 0 || slow == 1000 {
		t.Errorf("of 1000 unknown ids %d look like argon2id clients, want some and not all", slow)
	}
	if h, own := a.hashFor("public"); h.IsZero() || own {
		t.Error("a public client with a secret is refused without work")
	}
	nobody, err := clients.New(nil, clients.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if h, _ := newAuthenticator(nobody, assertions{}, sealingKeys(t, 1)).hashFor("x"); h.IsZero() {
		t.Error("without clients an id is refused without work")
	}
}

// And the comparison is really made: an unknown id that looks like an argon2id client waits for its turn like one, and so
// does a public client's id with a secret that it does not have.
func TestT12_UnknownIDWaitsLikeAKnownOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *Config) {
			for id := range c.Clients {
				if id != "old" && id != "public" {
					delete(c.Clients, id) // so that every decoy is the slow one
				}
			}
		})
		for range cap(k.clients.slow.places) {
			k.clients.slow.places <- struct{}{}
		}
		for _, id := range []string{"old", "nobody", "public", ""} {
			began := time.Now()
			w := k.post(t, grantOnly(), basic(id, "wrong-secret-0123456789"))
			wantRefusal(t, id, w, 503, "temporarily_unavailable")
			if waited := time.Since(began); waited != slowWait {
				t.Errorf("id %q: refused after %v, want the %v of a client that exists", id, waited, slowWait)
			}
		}
	})
}

// A slow hash must not become a way to stop the issuer: who finds no turn is sent away with 503, and clients with
// generated secrets do not wait at all.
func TestSlowComparisonsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		for range cap(k.clients.slow.places) {
			k.clients.slow.places <- struct{}{}
		}
		old := url.Values{"grant_type": {"client_credentials"}, "client_id": {"old"}, "client_secret": {oldSecret}}
		w := k.post(t, old, nil)
		wantRefusal(t, "argon2id client while all turns are taken", w, 503, "temporarily_unavailable")
		if w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		k.token(t, shop())
		<-k.clients.slow.places
		k.token(t, old)
		k.clients.slow.places <- struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, no := k.clients.authenticate(ctx, newCredentials("old", "wrong"), netip.Addr{}); no == nil || no.outcome != unavailable {
			t.Errorf("a client that has gone waits on: %v", no)
		}
	})
}

// FuzzBasic: every id and secret survives the round trip, and no field makes it fail.
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"", "shop", "a:b", "a%b", "%41", "a+b", "ü€", "\x00", "a b", "==="} {
		f.Add(seed, "secret "+seed, "Basic "+seed)
	}
	f.Fuzz(func(t *testing.T, id, secret, field string) {
		_, _ = parseBasic(field)
		c, err := parseBasic(basic(id, secret).Get("Authorization"))
		if err != nil || c.id != id || (secret == "") != (c.secret == nil) || (secret != "" && c.secret() != secret) {
			t.Errorf("Basic of %q and %q: got %q, %v", id, secret, c.id, err)
		}
	})
}
