package keyring

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

func TestRingWithoutAKey(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Minute
	r, _ := firstRing(t, testNow, es256(life, 0)).turned(testNow.Add(time.Hour), es256(life, time.Hour))
	now := testNow.Add(time.Hour + time.Minute)
	for _, row := range []struct {
		gone State
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
			id = r.keys[slices.IndexFunc(r.keys, func(k Key) bool { return k.state == row.gone })].id
		}
		got, changed := r.without(id, now, es256(0, 0))
		if diff := cmp.Diff(row.want, got.outline(names)); diff != "" || !changed {
			t.Errorf("without the %s key (-want +got):\n%s", row.gone, diff)
		}
		if got.generation != r.generation+1 || got.beginning() != r.beginning() || got.life != r.life {
			t.Errorf("without the %s key: generation %d after %d, or another index key or life", row.gone, got.generation, r.generation)
		}
		if strings.Contains(string(got.set), id) {
			t.Errorf("without the %s key: it is still published", row.gone)
		}
		if again, changed := got.without(id, now, es256(0, 0)); changed || again != got {
			t.Errorf("without the %s key twice: changed %v", row.gone, changed)
		}
	}
	quiet := r.written(now)
	if _, changed := quiet.without(r.in(active).id, now.Add(ringLease-2*time.Second), es256(0, 0)); changed {
		t.Error("a ring that was written back changes within its quiet time")
	}
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
		if err := one.Withdraw(t.Context(), key); err != nil {
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
		k := buildKit(t, f)
		k.start(t)
		time.Sleep(time.Second)
		f.mu.Lock()
		f.asked = 0
		f.mu.Unlock()
		for range 1000 {
			k.LookSoon()
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
		k := buildKit(t, c)
		k.look(t)
		key := k.activeKey(t)
		c.left = row.conflicts
		err := k.Withdraw(t.Context(), key)
		if (err == nil) != row.works || errors.Is(err, store.ErrConflict) == row.works || (k.activeKey(t) == key) == row.works {
			t.Errorf("%d conflicts: %v, works %v", row.conflicts, err, row.works)
		}
	}
}
