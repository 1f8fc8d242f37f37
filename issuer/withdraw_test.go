package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

func TestRingWithoutAKey(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Minute
	r, _ := newRing(testNow, life).turned(testNow.Add(time.Hour), life, time.Hour)
	now := testNow.Add(time.Hour + time.Minute)
	for _, row := range []struct {
		gone keyState
		want []string
	}{
		{active, []string{"A retired", "C active", "D next"}},
		{next, []string{"A retired", "B active", "D next"}},
		{retired, []string{"B active", "C next"}},
	} {
		names := map[string]string{}
		r.outline(names)
		id := r.in(active).id
		if row.gone != active {
			id = r.keys[slices.IndexFunc(r.keys, func(k signingKey) bool { return k.state == row.gone })].id
		}
		got, changed := r.without(id, now)
		if diff := cmp.Diff(row.want, got.outline(names)); diff != "" || !changed {
			t.Errorf("without the %s key (-want +got):\n%s", row.gone, diff)
		}
		if got.generation != r.generation+1 || got.beginning() != r.beginning() || got.life != r.life {
			t.Errorf("without the %s key: generation %d after %d, or another index key or life", row.gone, got.generation, r.generation)
		}
		if strings.Contains(string(got.set.body), id) {
			t.Errorf("without the %s key: it is still published", row.gone)
		}
		if again, changed := got.without(id, now); changed || again != got {
			t.Errorf("without the %s key twice: changed %v", row.gone, changed)
		}
	}
	quiet := r.written(now)
	if _, changed := quiet.without(r.in(active).id, now.Add(ringLease-2*time.Second)); changed {
		t.Error("a ring that was written back changes within its quiet time")
	}
}

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
		if one.activeKey(t) == key || strings.Contains(string(one.keeper.jwks().body), key) {
			t.Error("the issuer that was asked signs with the key, or publishes it")
		}
		if err := verifyWith(t, one.keeper.jwks(), raw); err == nil {
			t.Error("a JWT by the key holds under the new key set")
		}
		one.token(t, shop())

		// The other has not looked yet. What it signs is refused, and makes it look.
		if two.activeKey(t) != key {
			t.Fatal("the other issuer has looked already: the test shows nothing")
		}
		wantRefusal(t, "a deposit under the revoked key", two.post(t, shop(), nil), 503, "temporarily_unavailable")
		synctest.Wait()
		if two.activeKey(t) != one.activeKey(t) || strings.Contains(string(two.keeper.jwks().body), key) {
			t.Error("after a refused deposit the other issuer still has the key")
		}
		two.token(t, shop())
	})
}

// Without a refused deposit the others follow at their next look.
func TestWithdrawnKeyIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		one, two := buildKit(t, s), buildKit(t, s)
		one.start(t)
		two.start(t)
		time.Sleep(2 * time.Second)
		key := one.activeKey(t)
		if err := one.keeper.withdraw(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(followEvery * 5 / 4)
		if two.activeKey(t) == key || two.activeKey(t) != one.activeKey(t) {
			t.Errorf("a look later the other issuer signs with %s, this one with %s", two.activeKey(t), one.activeKey(t))
		}
	})
}

// Refused deposits do not make an issuer hammer the store.
func TestLookSoonIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{StateStore: store.NewMemory()}
		k := buildKit(t, store.NewMemory(), func(c *Config) { c.State = f })
		k.start(t)
		time.Sleep(time.Second)
		f.mu.Lock()
		f.asked = 0
		f.mu.Unlock()
		for range 1000 {
			k.keeper.lookSoon()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if f.asked < 5 || f.asked > 11 {
			t.Errorf("asked %d times within a second, want about every %v", f.asked, retryAfter)
		}
	})
}

// conflicts is a store in which another issuer is always a little faster.
type conflicts struct {
	StateStore
	left int
}

func (c *conflicts) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	if c.left > 0 {
		c.left--
		return store.ErrConflict
	}
	return c.StateStore.SwapState(ctx, name, old, blob)
}

func TestWithdrawAsksAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		conflicts int
		works     bool
	}{{0, true}, {withdrawTries - 1, true}, {withdrawTries, false}} {
		c := &conflicts{StateStore: store.NewMemory()}
		k := newKit(t, func(config *Config) { config.State = c })
		key := k.activeKey(t)
		c.left = row.conflicts
		err := k.keeper.withdraw(t.Context(), key)
		if (err == nil) != row.works || errors.Is(err, store.ErrConflict) == row.works || (k.activeKey(t) == key) == row.works {
			t.Errorf("%d conflicts: %v, works %v", row.conflicts, err, row.works)
		}
	}
}

// The log is what keeps the key's tokens out; a ring that cannot be changed must not keep it from that, and must not be
// passed over in silence.
func TestKeyThatCannotBeWithdrawnIsRevokedAndSaid(t *testing.T) {
	t.Parallel()
	f := &faulty{StateStore: store.NewMemory()}
	k := newKit(t, func(c *Config) { c.State = f })
	key, token := k.activeKey(t), k.token(t, shop()).AccessToken
	f.set(true, nil)
	w := k.operate(t, "POST", "/v1/revocations", `{"key":"`+key+`"}`)
	wantFault(t, "state away", w, 503, "key_not_withdrawn")
	if k.lives(t, token) || w.Header().Get("Retry-After") == "" {
		t.Error("what the key signed is alive, or there is no Retry-After")
	}
	wantRefusal(t, "a deposit under the key", k.post(t, shop(), nil), 503, "temporarily_unavailable")
	f.set(false, nil)
	k.order(t, `{"key":"`+key+`"}`)
	k.token(t, shop())

	// A ring that was written back a moment ago waits.
	lost := k.activeKey(t)
	f.lose()
	if err := k.keeper.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = k.operate(t, "POST", "/v1/revocations", `{"key":"`+lost+`"}`)
	wantFault(t, "quiet ring", w, 503, "key_not_withdrawn")
	if retry := w.Header().Get("Retry-After"); retry < "55" || retry > "60" {
		t.Errorf("quiet ring: Retry-After %q, want the rest of %v", retry, ringLease)
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
