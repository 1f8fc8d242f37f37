package issuer

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

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
	r, err := k.keeper.signing()
	if err != nil {
		t.Fatalf("no ring to sign with: %v", err)
	}
	return r.in(active).id
}

// faulty is a store that can be told to fail, to lose or to lie.
type faulty struct {
	StateStore
	mu    sync.Mutex // guards all below
	away  bool
	state func() (uint64, []byte) // nil: the truth
	asked int
}

func (f *faulty) State(ctx context.Context, name string) (uint64, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	switch {
	case f.away:
		return 0, nil, store.ErrUnavailable
	case f.state != nil:
		version, blob := f.state()
		return version, blob, nil
	}
	return f.StateStore.State(ctx, name)
}

func (f *faulty) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return store.ErrUnavailable
	}
	return f.StateStore.SwapState(ctx, name, old, blob)
}

func (f *faulty) set(away bool, state func() (uint64, []byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.state = away, state
}

// lose is FLUSHALL, or a restart without persistence.
func (f *faulty) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.StateStore = store.NewMemory()
}

func TestManyIssuersCreateOneRing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		var all []*kit
		for range 5 {
			k := buildKit(t, s)
			k.start(t)
			all = append(all, k)
		}
		time.Sleep(2 * time.Second)
		for n, k := range all {
			if got, want := k.activeKey(t), all[0].activeKey(t); got != want {
				t.Errorf("issuer %d signs with %s, issuer 0 with %s", n, got, want)
			}
			if got, want := k.keeper.jwks().tag, all[0].keeper.jwks().tag; got != want {
				t.Errorf("issuer %d publishes another key set than issuer 0", n)
			}
		}
		if version, _, err := s.State(t.Context(), ringName); version != 1 || err != nil {
			t.Errorf("ring has version %d (%v), want 1: one creation", version, err)
		}
		if a, b := all[0].keeper.kept.Load().ring.beginning(), all[4].keeper.kept.Load().ring.beginning(); a != b {
			t.Error("two issuers have rings of two beginnings")
		}
	})
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

		proxied := two.keeper.jwks()
		var alive []string // the tokens of the last nine minutes; they live for ten
		keys := map[string]bool{}
		for minute := range 200 {
			time.Sleep(time.Minute)
			cached := proxied
			proxied = two.keeper.jwks()
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
		if n := len(two.keeper.kept.Load().ring.keys); n > 3 {
			t.Errorf("the ring has %d keys: retired ones do not leave", n)
		}
	})
}

func verifyWith(t *testing.T, set *document, raw string) error {
	t.Helper()
	keys, err := verifier.ParseJWKS(set.body)
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

func TestRetiredKeyLeavesWhenItsTokensAreDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := buildKit(t, store.NewMemory(), hourly)
		k.start(t)
		time.Sleep(time.Second)
		first := k.activeKey(t)
		published := func() bool {
			_, err := k.Keys().Key(t.Context(), first)
			if err != nil && !errors.Is(err, verifier.ErrUnknownKey) {
				t.Fatalf("Key: %v", err)
			}
			return err == nil && strings.Contains(string(k.keeper.jwks().body), first)
		}
		time.Sleep(time.Hour + followEvery*2)
		if k.activeKey(t) == first || !published() {
			t.Fatal("after an hour the first key still signs, or is not published any more")
		}
		time.Sleep(10*time.Minute + retireSkew - 3*followEvery)
		if !published() {
			t.Error("the retired key left while a token of it may be alive")
		}
		time.Sleep(4 * followEvery)
		if published() {
			t.Error("the retired key is published after its last token has died")
		}
	})
}

func TestStoreAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		f := &faulty{StateStore: s, away: true}
		k := buildKit(t, s, func(c *Config) { c.State = f })
		k.start(t)
		time.Sleep(time.Minute)
		if err := k.Ready(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("store away: Ready() = %v, want the store's error", err)
		}
		if f.asked < 12 || f.asked > 24 {
			t.Errorf("store asked %d times in its minute away, want back-off to about every 5 s", f.asked)
		}
		if n := strings.Count(k.log.String(), "\n"); n != 1 {
			t.Errorf("%d lines logged about one failure, want 1:\n%s", n, k.log)
		}
		f.set(false, nil)
		time.Sleep(2 * followEvery)
		k.token(t, shop())

		// Away again: the ring in hand signs for its lease and no longer, and stays published.
		f.set(true, nil)
		time.Sleep(ringLease - 2*followEvery)
		k.token(t, shop())
		time.Sleep(3 * followEvery)
		wantRefusal(t, "ring not confirmed for a minute", k.post(t, shop(), nil), 503, "temporarily_unavailable")
		if w := k.get(t, k.place.jwksPath(), nil); w.Code != 200 {
			t.Errorf("JWKS while the store is away: %d, want the last good set", w.Code)
		}
		if _, err := k.Keys().Key(t.Context(), "unknown"); !errors.Is(err, verifier.ErrKeysUnavailable) {
			t.Errorf("unknown key while the ring is not confirmed: %v, want %v", err, verifier.ErrKeysUnavailable)
		}
		f.set(false, nil)
		time.Sleep(2 * followEvery)
		k.token(t, shop())
		if _, err := k.Keys().Key(t.Context(), "unknown"); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("unknown key: %v, want %v", err, verifier.ErrUnknownKey)
		}
	})
}

func TestWrongEncryptionKeyIsRefusedWithTheMend(t *testing.T) {
	t.Parallel()
	s := newKit(t).store
	before, blob, _ := s.State(t.Context(), ringName)
	k := buildKit(t, s, func(c *Config) { c.Sealing = sealingKeys(t, 2) })
	err := k.keeper.look(t.Context())
	if !errors.Is(err, errForeignKey) || !strings.Contains(err.Error(), "encryption key file") {
		t.Errorf("wrong key: %v, want %v and the mend", err, errForeignKey)
	}
	if !errors.Is(k.Ready(), errForeignKey) {
		t.Errorf("Ready() = %v, want %v", k.Ready(), errForeignKey)
	}
	if after, now, _ := s.State(t.Context(), ringName); after != before || !bytes.Equal(now, blob) {
		t.Error("a ring that did not open was replaced")
	}
	both := buildKit(t, s, func(c *Config) { c.Sealing = sealingKeys(t, 2, 1) })
	if err := both.keeper.look(t.Context()); err != nil {
		t.Errorf("with the old key added: %v", err)
	}
}

// A grant minted under a ring is minted by one ring, also while it turns: key id, handles and manifest belong together.
func TestMintDuringRotation(t *testing.T) {
	t.Parallel()
	k := newKit(t, hourly)
	r, err := k.keeper.signing()
	if err != nil {
		t.Fatal(err)
	}
	turned, _ := r.turned(time.Now().Add(2*time.Hour), time.Minute, time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 200 {
			k.keeper.kept.Store(&kept{ring: turned, asked: time.Now()})
			k.keeper.kept.Store(&kept{ring: r, asked: time.Now()})
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
