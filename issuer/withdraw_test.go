package issuer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// K3: when the answer is there, no issuer signs with the key or publishes it, or is refused where it would; what it had
// signed is gone.
func TestK3_RevokedKeyLeavesEveryIssuer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		one := buildKit(t, s, hourly)
		one.start(t)
		time.Sleep(time.Second)
		two := buildKit(t, s, hourly)
		two.start(t)
		time.Sleep(time.Second)
		key := one.activeKey(t)
		token := one.token(t, shop()).AccessToken
		raw := one.jwt(t, token, "orders-api")

		one.order(t, `{"key":"`+key+`"}`)
		if one.lives(t, token) {
			t.Error("what the key signed is alive")
		}
		if one.activeKey(t) == key || strings.Contains(string(one.keeper.KeySet()), key) {
			t.Error("the issuer that was asked signs with the key, or publishes it")
		}
		if err := verifyWith(t, one.keeper.KeySet(), raw); err == nil {
			t.Error("a JWT by the key holds under the new key set")
		}
		one.token(t, shop())

		// The other has not looked yet. What it signs is refused, and makes it look.
		if two.activeKey(t) != key {
			t.Fatal("the other issuer has looked already: the test shows nothing")
		}
		wantRefusal(t, "a deposit under the revoked key", two.post(t, shop(), nil), 503, "temporarily_unavailable")
		synctest.Wait()
		if two.activeKey(t) != one.activeKey(t) || strings.Contains(string(two.keeper.KeySet()), key) {
			t.Error("after a refused deposit the other issuer still has the key")
		}
		two.token(t, shop())
	})
}

// The log is what keeps the key's tokens out; a ring that cannot be changed must not keep it from that, and must not be
// passed over in silence.
func TestKeyThatCannotBeWithdrawnIsRevokedAndSaid(t *testing.T) {
	t.Parallel()
	f := &faulty{StateStore: store.NewMemory()}
	k := newKit(t, func(c *Config) { c.State = f })
	key, token := k.activeKey(t), k.token(t, shop()).AccessToken
	f.away(true)
	w := k.operate(t, "POST", "/v1/revocations", `{"key":"`+key+`"}`)
	wantFault(t, "state away", w, 503, "key_not_withdrawn")
	if k.lives(t, token) || w.Header().Get("Retry-After") == "" {
		t.Error("what the key signed is alive, or there is no Retry-After")
	}
	wantRefusal(t, "a deposit under the key", k.post(t, shop(), nil), 503, "temporarily_unavailable")
	f.away(false)
	k.order(t, `{"key":"`+key+`"}`)
	k.token(t, shop())

	// A ring that was written back a moment ago waits.
	lost := k.activeKey(t)
	f.lose()
	if err := k.keeper.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = k.operate(t, "POST", "/v1/revocations", `{"key":"`+lost+`"}`)
	wantFault(t, "quiet ring", w, 503, "key_not_withdrawn")
	if retry := w.Header().Get("Retry-After"); retry < "55" || retry > "60" {
		t.Errorf("quiet ring: Retry-After %q, want the rest of a minute", retry)
	}
}

// What a deposit rests on is what was known before anything was looked at, the client's authentication included.
func TestSinceIsReadFirst(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.depositor = revokedMeanwhile{k.depositor}
	w := k.post(t, shop(), nil)
	wantRefusal(t, "revoked while minting", w, 503, "temporarily_unavailable")
	if !strings.Contains(w.Body.String(), "try again") || w.Header().Get("Retry-After") == "" {
		t.Errorf("revoked while minting: %s, Retry-After %q", w.Body, w.Header().Get("Retry-After"))
	}

	var order []string
	k = newKit(t)
	k.depositor = &noted{depositor: k.depositor, order: &order}
	k.token(t, shop())
	if diff := cmp.Diff([]string{"since", "reference", "deposit"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	// Also where nothing comes of it.
	order = nil
	k.post(t, shop("client_secret", "wrong-secret-0123456789"), nil)
	if diff := cmp.Diff([]string{"since"}, order); diff != "" {
		t.Errorf("wrong secret: order (-want +got):\n%s", diff)
	}
}

type revokedMeanwhile struct{ depositor }

func (revokedMeanwhile) Deposit(context.Context, exchange.Reference, exchange.Deposit) error {
	return exchange.ErrRevoked
}

// noted writes down in which order it is asked.
type noted struct {
	depositor
	order *[]string
}

func (n *noted) Since() exchange.Since {
	*n.order = append(*n.order, "since")
	return n.depositor.Since()
}

func (n *noted) Reference() exchange.Reference {
	*n.order = append(*n.order, "reference")
	return n.depositor.Reference()
}

func (n *noted) Deposit(ctx context.Context, r exchange.Reference, d exchange.Deposit) error {
	*n.order = append(*n.order, "deposit")
	return n.depositor.Deposit(ctx, r, d)
}

// A client that is revoked while its token is made gets none: the floor is above what the mint had read. A mint that
// begins after the revocation was read gets one.
func TestMintInFlightWhileItsClientIsRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.follow(t)
		k.token(t, shop())
		inFlight := &gate{depositor: k.depositor, reached: make(chan struct{}), open: make(chan struct{})}
		k.depositor = inFlight
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			wantRefusal(t, "in flight", k.post(t, shop(), nil), 503, "temporarily_unavailable")
		}()
		<-inFlight.reached
		k.order(t, `{"client":"shop"}`)
		close(inFlight.open)
		<-answered
		k.depositor = inFlight.depositor
		time.Sleep(time.Second) // the follower reads it
		k.token(t, shop())
		if n := len(k.ended.orders); n != 1 || k.ended.orders[0].Kind != revocation.Client {
			t.Errorf("%d revocations, want that of the client", n)
		}
	})
}

// gate holds one deposit.
type gate struct {
	depositor
	reached, open chan struct{}
}

func (g *gate) Deposit(ctx context.Context, r exchange.Reference, d exchange.Deposit) error {
	close(g.reached)
	<-g.open
	return g.depositor.Deposit(ctx, r, d)
}
