package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// checked is a store whose next Check says what the test wants.
type checked struct {
	*Memory
	says error
}

func (c *checked) Check(context.Context) error { return c.says }

// TestGuardLetsNobodyThroughToAStoreThatCannotBeTrusted: what opens it, what closes it, and what does not.
func TestGuardLetsNobodyThroughToAStoreThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	policy := &PolicyError{Violations: []Violation{{What: "it may evict", Mend: "do not"}}}
	backend := &checked{Memory: NewMemory()}
	g := NewGuard(backend)
	for _, step := range []struct {
		story string
		says  error
		ready bool
		take  error // of a store that nobody has opened
	}{
		{"away at the start", ErrUnavailable, false, ErrUnavailable},
		{"there", nil, true, ErrClosed},
		{"away for a while: its own errors say so", ErrUnavailable, false, ErrClosed},
		{"back, and may evict", policy, false, ErrUnavailable},
		{"away: nothing says that it is mended", ErrUnavailable, false, ErrUnavailable},
		{"mended", nil, true, ErrClosed},
	} {
		backend.says = step.says
		_ = g.check(t.Context()) // it is what Check says
		if ready := g.Ready() == nil; ready != step.ready {
			t.Errorf("%s: ready %v (%v), want %v", step.story, ready, g.Ready(), step.ready)
		}
		if _, err := g.Take(t.Context(), "0123456789abcdef0123456789abcdef"); !errors.Is(err, step.take) {
			t.Errorf("%s: Take says %v, want %v", step.story, err, step.take)
		}
		if !errors.Is(step.take, ErrClosed) {
			if err := g.Put(t.Context(), Record{}, Quota{}); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: Put says %v, want %v", step.story, err, ErrUnavailable)
			}
			if _, _, err := g.State(t.Context(), "ring"); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: State says %v, want %v", step.story, err, ErrUnavailable)
			}
			if err := g.SwapState(t.Context(), "ring", 0, []byte("sealed keys")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: SwapState says %v, want %v", step.story, err, ErrUnavailable)
			}
			if err := g.Pull(t.Context(), make([]Position, 1), "")[0].Err; !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed) {
				t.Errorf("%s: Pull says %v, want %v of the guard", step.story, err, ErrUnavailable)
			}
			if _, err := g.Open(t.Context(), 0, Opening{}); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: Open says %v, want %v", step.story, err, ErrUnavailable)
			}
			if _, err := g.Shard(t.Context(), 0, "issuer-1"); err != nil {
				t.Errorf("%s: Shard says %v, want it to go through", step.story, err)
			}
			by := Author{Issuer: "issuer-1", Journal: "journal-1"}
			_, err := g.Revoke(t.Context(), 0, by, "another", []Numbered{{1, Revocation{KindClient, "c", time.Now().Add(time.Hour)}}}, 0)
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: Revoke says %v, want it to go through to a shard that is closed", step.story, err)
			}
		}
	}
}

// TestGuardKeepsTheLastMemoryForWhatEndsGrants: of a store that is nearly full only Put is refused.
func TestGuardKeepsTheLastMemoryForWhatEndsGrants(t *testing.T) {
	t.Parallel()
	backend := &checked{Memory: NewMemory()}
	g := NewGuard(backend)
	for _, says := range []error{nil, fmt.Errorf("check: %w", errCrowded), ErrUnavailable, nil} {
		refused := says != nil
		backend.says = says
		_ = g.check(t.Context()) // it is what Check says
		if err := g.Put(t.Context(), Record{}, Quota{}); errors.Is(err, errCrowded) != refused || refused && !errors.Is(err, ErrUnavailable) {
			t.Errorf("checked with %v: Put says %v", says, err)
		}
		if err := g.SwapState(t.Context(), "ring", uint64(len(backend.states["ring"].blob)), []byte("x")); errors.Is(err, ErrUnavailable) {
			t.Errorf("checked with %v: SwapState says %v", says, err)
		}
		if ready := g.Ready(); (ready == nil) != (says != ErrUnavailable) {
			t.Errorf("checked with %v: Ready says %v", says, ready)
		}
	}
	info := map[string]string{"maxmemory": "1000", "used_memory": "801"}
	for used, want := range map[string]bool{"801": true, "800": false, "": false} {
		if info["used_memory"] = used; crowded(info) != want {
			t.Errorf("crowded(%v) = %v", info, !want)
		}
	}
	if crowded(map[string]string{"maxmemory": "0", "used_memory": "801"}) {
		t.Error("a Redis without a limit is crowded")
	}
}

// TestGuardIsClosedBeforeTheFirstCheck: a process that has not asked yet trusts nothing.
func TestGuardIsClosedBeforeTheFirstCheck(t *testing.T) {
	t.Parallel()
	g := NewGuard(NewMemory())
	if _, err := g.Take(t.Context(), "0123456789abcdef0123456789abcdef"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Take before the first check says %v, want %v", err, ErrUnavailable)
	}
	if g.Ready() == nil {
		t.Error("the guard is ready before the first check")
	}
}

// TestGuardStateWaitsForTheFirstCheck: an issuer that starts together with its store does not begin with a failure.
func TestGuardStateWaitsForTheFirstCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(NewMemory())
		asked := make(chan error, 1)
		go func() {
			_, _, err := g.State(t.Context(), "ring")
			asked <- err
		}()
		synctest.Wait()
		if len(asked) > 0 {
			t.Errorf("State did not wait: %v", <-asked)
		}
		_ = g.check(t.Context())
		if err := <-asked; err != nil {
			t.Errorf("State after the first check says %v", err)
		}
		left, leave := context.WithCancel(t.Context())
		leave()
		if _, _, err := NewGuard(NewMemory()).State(left, "ring"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("State of a caller who left before the first check says %v, want %v", err, ErrUnavailable)
		}
	})
}
