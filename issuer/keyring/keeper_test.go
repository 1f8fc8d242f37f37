package keyring

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

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
			if got, want := string(k.KeySet()), string(all[0].KeySet()); got != want {
				t.Errorf("issuer %d publishes another key set than issuer 0", n)
			}
		}
		if version, _, err := s.State(t.Context(), ringName); version != 1 || err != nil {
			t.Errorf("ring has version %d (%v), want 1: one creation", version, err)
		}
		if a, b := all[0].kept.Load().ring.beginning(), all[4].kept.Load().ring.beginning(); a != b {
			t.Error("two issuers have rings of two beginnings")
		}
	})
}

func TestRetiredKeyLeavesWhenItsTokensAreDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := buildKit(t, store.NewMemory(), hourly)
		k.start(t)
		time.Sleep(time.Second)
		first := k.activeKey(t)
		published := func() bool {
			_, err := k.Key(t.Context(), first)
			if err != nil && !errors.Is(err, verifier.ErrUnknownKey) {
				t.Fatalf("Key: %v", err)
			}
			return err == nil && strings.Contains(string(k.KeySet()), first)
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
		if err := ready(k); !errors.Is(err, store.ErrUnavailable) {
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
		k.token(t)

		// Away again: the ring in hand signs for its lease and no longer, and stays published.
		f.set(true, nil)
		time.Sleep(ringLease - 2*followEvery)
		k.token(t)
		time.Sleep(3 * followEvery)
		if err := ready(k); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("ring not confirmed for a minute: %v, want it not to sign", err)
		}
		if k.KeySet() == nil {
			t.Error("no JWKS while the store is away, want the last good set")
		}
		if _, err := k.Key(t.Context(), "unknown"); !errors.Is(err, verifier.ErrKeysUnavailable) {
			t.Errorf("unknown key while the ring is not confirmed: %v, want %v", err, verifier.ErrKeysUnavailable)
		}
		f.set(false, nil)
		time.Sleep(2 * followEvery)
		k.token(t)
		if _, err := k.Key(t.Context(), "unknown"); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("unknown key: %v, want %v", err, verifier.ErrUnknownKey)
		}
	})
}

func TestWrongEncryptionKeyIsRefusedWithTheMend(t *testing.T) {
	t.Parallel()
	s := store.NewMemory()
	buildKit(t, s).look(t)
	before, blob, _ := s.State(t.Context(), ringName)
	k := buildKit(t, s, func(c *Config) { c.Sealing = sealingKeys(t, 2) })
	err := k.Look(t.Context())
	if !errors.Is(err, sealing.ErrForeignKey) || !strings.Contains(err.Error(), "encryption key file") {
		t.Errorf("wrong key: %v, want %v and the mend", err, sealing.ErrForeignKey)
	}
	if !errors.Is(ready(k), sealing.ErrForeignKey) {
		t.Errorf("Ready() = %v, want %v", ready(k), sealing.ErrForeignKey)
	}
	if after, now, _ := s.State(t.Context(), ringName); after != before || !bytes.Equal(now, blob) {
		t.Error("a ring that did not open was replaced")
	}
	both := buildKit(t, s, func(c *Config) { c.Sealing = sealingKeys(t, 2, 1) })
	if err := both.Look(t.Context()); err != nil {
		t.Errorf("with the old key added: %v", err)
	}
}

// ready is why nothing can be signed now.
func ready(k *kit) error {
	_, err := k.Current()
	return err
}
