package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// askKeysEvery is how often the issuer is asked until it has given its keys once.
const askKeysEvery = 250 * time.Millisecond

var errNoKeys = errors.New("no key set has been fetched from the issuer yet; is it running, and reachable from here?")

// fetchKeys makes the issuer's keys a condition of readiness; once they are there, the key set keeps itself fresh.
func (p *process) fetchKeys(c verifier.JWKSConfig) (verifier.KeySource, error) {
	jwks, err := verifier.NewJWKS(c)
	if err != nil {
		return nil, err
	}
	var why atomic.Pointer[string] // the last answer of a fetch that failed
	p.need("keys", func() error {
		last := why.Load()
		switch {
		case jwks.Ready():
			return nil
		case last == nil:
			return errNoKeys
		default:
			return fmt.Errorf("%w (%s)", errNoKeys, *last)
		}
	})
	p.do(func(ctx context.Context) error { p.awaitKeys(ctx, jwks, &why); return nil })
	return jwks, nil
}

// awaitKeys asks until there is an answer, and says each new reason why there is none once.
func (p *process) awaitKeys(ctx context.Context, jwks *verifier.JWKS, why *atomic.Pointer[string]) {
	told := ""
	for ctx.Err() == nil && !jwks.Ready() {
		if err := jwks.Refresh(ctx); err != nil && err.Error() != told && ctx.Err() == nil {
			told = err.Error()
			why.Store(new(told))
			p.log.LogAttrs(ctx, slog.LevelWarn, "keys are not ready", slog.String("reason", told))
		}
		select {
		case <-ctx.Done():
		case <-time.After(askKeysEvery):
		}
	}
}
