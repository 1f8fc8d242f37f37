package main

import (
	"context"
	"errors"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

// checked is a store whose next Check says what the test wants.
type checked struct {
	*store.Memory
	says error
}

func (c *checked) Check(context.Context) error { return c.says }

// TestGuardLetsNobodyThroughToAStoreThatCannotBeTrusted: what opens it, what closes it, and what does not.
func TestGuardLetsNobodyThroughToAStoreThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	policy := &store.PolicyError{Violations: []store.Violation{{What: "it may evict", Mend: "do not"}}}
	backend := &checked{Memory: store.NewMemory()}
	g := newGuard(backend)
	for _, step := range []struct {
		story string
		says  error
		ready bool
		take  error // of a record that does not exist
	}{
		{"away at the start", store.ErrUnavailable, false, store.ErrUnavailable},
		{"there", nil, true, store.ErrNotFound},
		{"away for a while: its own errors say so", store.ErrUnavailable, false, store.ErrNotFound},
		{"back, and may evict", policy, false, store.ErrUnavailable},
		{"away: nothing says that it is mended", store.ErrUnavailable, false, store.ErrUnavailable},
		{"mended", nil, true, store.ErrNotFound},
	} {
		backend.says = step.says
		_ = g.check(t.Context()) // it is what Check says
		if ready := g.Ready() == nil; ready != step.ready {
			t.Errorf("%s: ready %v (%v), want %v", step.story, ready, g.Ready(), step.ready)
		}
		if _, err := g.Take(t.Context(), "0123456789abcdef0123456789abcdef"); !errors.Is(err, step.take) {
			t.Errorf("%s: Take says %v, want %v", step.story, err, step.take)
		}
		if errors.Is(step.take, store.ErrUnavailable) {
			if err := g.Put(t.Context(), store.Record{}, store.Quota{}); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: Put says %v, want %v", step.story, err, store.ErrUnavailable)
			}
		}
	}
}

// TestGuardIsClosedBeforeTheFirstCheck: a process that has not asked yet trusts nothing.
func TestGuardIsClosedBeforeTheFirstCheck(t *testing.T) {
	t.Parallel()
	g := newGuard(store.NewMemory())
	if _, err := g.Take(t.Context(), "0123456789abcdef0123456789abcdef"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Take before the first check says %v, want %v", err, store.ErrUnavailable)
	}
	if g.Ready() == nil {
		t.Error("the guard is ready before the first check")
	}
}
