package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// One timer bounds a request, lets a stream outlive that bound, and bounds it too where no grant does.
func TestTermOfAVisit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		within time.Duration
		turn   func(*visit)
		lasts  time.Duration
		cause  error
	}{
		"a request":                {30 * time.Second, func(*visit) {}, 30 * time.Second, errTooLong},
		"one that is bounded less": {300 * time.Millisecond, func(*visit) {}, 300 * time.Millisecond, errTooLong},
		"a public stream":          {30 * time.Second, (*visit).stream, time.Hour, cut{reasonStreamExpired}},
		"one that is over":         {30 * time.Second, (*visit).endTerm, 2 * time.Hour, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			v := &visit{start: time.Now(), cancel: cancel, gone: ctx.Done()}
			v.beginTerm(c.within)
			c.turn(v)
			time.Sleep(c.lasts - time.Millisecond)
			synctest.Wait()
			if cause := context.Cause(ctx); cause != nil {
				t.Errorf("%s has ended early: %v", name, cause)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if cause := context.Cause(ctx); !errors.Is(cause, c.cause) {
				t.Errorf("%s ends after %v by %v, want %v", name, c.lasts, cause, c.cause)
			}
			v.endTerm()
		})
	}
}
