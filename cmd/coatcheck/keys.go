package main

import (
	"context"
	"errors"
	"log/slog"
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
	p.need("keys", func() error {
		if jwks.Ready() {
			return nil
		}
		return errNoKeys
	})
	p.do(func(ctx context.Context) error { p.awaitKeys(ctx, jwks); return nil })
	return jwks, nil
}

// awaitKeys asks until there is an answer, and says each new reason why there is none once.
func (p *process) awaitKeys(ctx context.Context, jwks *verifier.JWKS) {
	told := ""
	for ctx.Err() == nil && !jwks.Ready() {
		if err := jwks.Refresh(ctx); err != nil && err.Error() != told && ctx.Err() == nil {
			told = err.Error()
			p.log.LogAttrs(ctx, slog.LevelWarn, "keys are not ready", slog.String("reason", told))
		}
		select {
		case <-ctx.Done():
		case <-time.After(askKeysEvery):
		}
	}
}
