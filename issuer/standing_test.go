package issuer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// Whatever cannot be looked at is not said to be dead.
func TestIntrospectionWithoutTheStoreIs503(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	jwt := k.jwt(t, live, "orders-api")
	want503 := func(what, token string) {
		t.Helper()
		for _, accept := range []string{"", string(asSigned), string(asBare)} {
			w := k.ask(t, "orders", token, accept)
			wantRefusal(t, what+", Accept "+accept, w, http.StatusServiceUnavailable, "temporarily_unavailable")
			if w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "active\":") {
				t.Errorf("%s: Retry-After %q, body %s", what, w.Header().Get("Retry-After"), w.Body)
			}
		}
	}
	k.listing = away{k.listing}
	want503("JWT, store away", jwt)
	for _, reason := range []exchange.Reason{exchange.ReasonUnavailable, exchange.ReasonClosed} {
		k.grants = cannotTell{&exchange.Refusal{Reason: reason}}
		want503("reference, "+string(reason), live)
	}
	k.grants = cannotTell{errors.New("anything else")}
	want503("reference, an error of another kind", live)
	fresh := buildKit(t, store.NewMemory()) // its ring was never loaded
	w := fresh.ask(t, "orders", jwt, "")
	wantRefusal(t, "no key ring", w, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// counting counts how often the store is asked.
type counting struct {
	*store.Memory
	asked atomic.Int64
}

func (c *counting) Take(ctx context.Context, jti string) (store.Taken, error) {
	c.asked.Add(1)
	return c.Memory.Take(ctx, jti)
}

func (c *counting) Inspect(ctx context.Context, jti string) (revocation.Listed, error) {
	c.asked.Add(1)
	return c.Memory.Inspect(ctx, jti)
}

// freshness notes how fresh an answer had to be.
type freshness struct {
	Grants
	seen []exchange.Freshness
}

func (f *freshness) Swap(ctx context.Context, raw string, fresh exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	f.seen = append(f.seen, fresh)
	return f.Grants.Swap(ctx, raw, fresh)
}

func TestIntrospectionAsksTheStoreOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	jwt := k.jwt(t, live, "orders-api")
	// A cached answer would be quicker, and could be older than the request.
	asked := &freshness{Grants: k.grants}
	k.grants = asked
	k.ask(t, "orders", live, "")
	if diff := cmp.Diff([]exchange.Freshness{exchange.Strict}, asked.seen); diff != "" {
		t.Errorf("swaps for one question (-want +got):\n%s", diff)
	}

	counted := &counting{Memory: k.store}
	grants, err := exchange.New(exchange.Config{Issuer: testIssuer, Stamper: k.stamper, Records: counted, Keys: k.Keys(), Log: k.read})
	if err != nil {
		t.Fatal(err)
	}
	k.grants, k.listing = grants, counted
	other := newKit(t)
	for name, row := range map[string]struct {
		client, token string
		want          int64
	}{
		"a reference":           {"orders", live, 1},
		"a JWT":                 {"orders", jwt, 1},
		"an unknown reference":  {"orders", k.stamper.New().Reveal(), 1},
		"for another service":   {"billing", live, 1},
		"a JWT of another":      {"billing", jwt, 0},
		"a forged JWT":          {"orders", other.signed(t, tokenType, claimsOf("shop")), 0},
		"junk":                  {"orders", "x", 0},
		"from who is no client": {"nobody", live, 0},
		"from who serves none":  {"single", live, 0},
	} {
		counted.asked.Store(0)
		k.ask(t, row.client, row.token, "")
		if got := counted.asked.Load(); got != row.want {
			t.Errorf("%s: the store was asked %d times, want %d", name, got, row.want)
		}
	}
}

// After the 200 of a revocation no issuer says that the token is active, whichever of them was asked to revoke.
func TestR5_AfterTheAnswerNoIssuerSaysActive(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	var replicas []*kit
	for range 3 {
		k := buildKit(t, s)
		if err := k.keeper.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, k)
		k.revoker = replicas[0].ended // one journal, so one counts
	}
	for n, revoking := range replicas {
		token := replicas[(n+1)%3].token(t, shop()).AccessToken
		jwt := revoking.jwt(t, token, "orders-api")
		for m, k := range replicas {
			for _, raw := range []string{token, jwt} {
				if k.told(t, "orders", raw)["active"] != true {
					t.Errorf("issuer %d, before: want active", m)
				}
			}
		}
		wantRevoked(t, "revoke", revoking.postRevoke(t, revocationOf(token), nil))
		for _, k := range replicas {
			for _, raw := range []string{token, jwt} {
				wantInactive(t, "after the answer", k.ask(t, "orders", raw, ""))
				if w := k.ask(t, "orders", raw, string(asBare)); w.Code != http.StatusNoContent {
					t.Errorf("application/jwt after the answer: %d, want 204", w.Code)
				}
			}
		}
	}
}
