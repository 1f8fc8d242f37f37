package issuer

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

func hourly(c *Config) { c.RotateEvery = time.Hour }

// start runs an issuer until the test ends.
func (k *kit) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v, want nil when its context ends", err)
		}
	})
}

func (k *kit) activeKey(t *testing.T) string {
	t.Helper()
	r, err := k.keeper.Current()
	if err != nil {
		t.Fatalf("no ring to sign with: %v", err)
	}
	return r.Active().ID()
}

// faulty is a store of state that can be away, or lose its data.
type faulty struct {
	StateStore
	mu   sync.Mutex // guards all
	gone bool
}

func (f *faulty) State(ctx context.Context, name string) (uint64, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return 0, nil, store.ErrUnavailable
	}
	return f.StateStore.State(ctx, name)
}

func (f *faulty) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return store.ErrUnavailable
	}
	return f.StateStore.SwapState(ctx, name, old, blob)
}

func (f *faulty) away(gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = gone
}

// lose is FLUSHALL, or a restart without persistence.
func (f *faulty) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.StateStore = store.NewMemory()
}

// Two issuers rotate every hour, three times, and both mint. A verifier that knows only a key set of a minute or two
// ago never meets a key that is not in it, and one that fetches now still finds the keys of the oldest tokens alive.
func TestK2_RotationUnderLoadFailsNoVerification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		one, two := buildKit(t, s, hourly), buildKit(t, s, hourly)
		one.start(t)
		two.start(t)
		time.Sleep(2 * time.Second)

		proxied := two.keeper.KeySet()
		var alive []string // the tokens of the last nine minutes; they live for ten
		keys := map[string]bool{}
		for minute := range 200 {
			time.Sleep(time.Minute)
			cached := proxied
			proxied = two.keeper.KeySet()
			for _, k := range []*kit{one, two} {
				raw := k.jwt(t, k.token(t, shop()).AccessToken, "orders-api")
				alive = append(alive, raw)
				keys[k.activeKey(t)] = true
				if err := verifyWith(t, cached, raw); err != nil {
					t.Fatalf("minute %d: a new token, with a key set of a minute ago: %v", minute, err)
				}
			}
			alive = alive[max(0, len(alive)-2*9):]
			if err := verifyWith(t, proxied, alive[0]); err != nil {
				t.Fatalf("minute %d: the oldest token, with the key set of now: %v", minute, err)
			}
		}
		if len(keys) < 4 {
			t.Errorf("%d keys signed in 200 minutes, want one for each hour", len(keys))
		}
		if n := len(two.keeper.Held().Keys()); n > 3 {
			t.Errorf("the ring has %d keys: retired ones do not leave", n)
		}
	})
}

func verifyWith(t *testing.T, set []byte, raw string) error {
	t.Helper()
	keys, err := verifier.ParseJWKS(set)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.New(testIssuer, "orders-api", verifier.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), raw)
	return err
}

// While nobody knows what the ring is, nothing is issued, and what was published stays.
func TestStoreAwayForLongerThanTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{StateStore: store.NewMemory()}
		k := buildKit(t, store.NewMemory(), func(c *Config) { c.State = f })
		k.start(t)
		time.Sleep(time.Second)
		k.token(t, shop())
		f.away(true)
		time.Sleep(2 * time.Minute)
		wantRefusal(t, "ring not confirmed for a minute", k.post(t, shop(), nil), 503, "temporarily_unavailable")
		if w := k.get(t, k.place.jwksPath(), nil); w.Code != 200 {
			t.Errorf("JWKS while the store is away: %d, want the last good set", w.Code)
		}
		f.away(false)
		time.Sleep(10 * time.Second)
		k.token(t, shop())
	})
}

// A grant is minted by one ring, also while the ring changes: key id, handles and manifest belong together.
func TestMintDuringRotation(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 40 {
			if err := k.keeper.Withdraw(t.Context(), k.keeper.Held().Active().ID()); err != nil {
				t.Errorf("change the ring: %v", err)
			}
		}
	})
	for range 20 {
		a := k.token(t, shop())
		ref := k.stamperParse(t, a.AccessToken)
		if taken, err := k.store.Take(t.Context(), ref.JTI()); err != nil || len(taken.Blob) == 0 {
			t.Errorf("record of %s: %v", ref.JTI(), err)
		}
	}
	wg.Wait()
}

func (k *kit) stamperParse(t *testing.T, raw string) exchange.Reference {
	t.Helper()
	ref, err := k.stamper.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
