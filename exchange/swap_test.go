package exchange_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

func TestSwapFindsTheGrantBehindAReference(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	d, raw := k.issue()

	g := k.swap(raw, exchange.SourceMiss)
	if again := k.swap(raw, exchange.SourceHit); again != g {
		t.Errorf("the second swap found another grant than the first")
	}
	if g.JTI() != d.manifest.JTI || g.ClientID() != "partner-shop" || !g.ExpiresAt().Equal(d.manifest.ExpiresAt) {
		t.Errorf("grant is %s of %s until %s, want %s of partner-shop until %s",
			g.JTI(), g.ClientID(), g.ExpiresAt(), d.manifest.JTI, d.manifest.ExpiresAt)
	}
	for audience, token := range d.tokens {
		s, ok := g.Share(audience)
		if !ok || s.Authorization() != "Bearer "+token.Reveal() {
			t.Errorf("share of %s: there %v, and its Authorization is not that audience's JWT", audience, ok)
		}
	}
	if _, ok := g.Share("other-api"); ok {
		t.Error("the grant has a share for an audience that it was not given")
	}
}

func TestShareAllowsOnlyItsOwnScopes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	_, raw := k.issue()
	s, _ := k.swap(raw, exchange.SourceMiss).Share("orders-api")
	for _, row := range []struct {
		scopes []string
		want   bool
	}{
		{nil, true},
		{[]string{"orders:read"}, true},
		{[]string{"orders:write", "orders:read"}, true},
		{[]string{"orders:read", "orders:delete"}, false},
		{[]string{"invoices:read"}, false}, // another audience's
		{[]string{"orders:rea"}, false},
		{[]string{"orders:read orders:write"}, false},
		{[]string{"ORDERS:READ"}, false},
		{[]string{""}, false},
	} {
		if got := s.Allows(row.scopes); got != row.want {
			t.Errorf("Allows(%q) = %v, want %v", row.scopes, got, row.want)
		}
	}
}

func TestSwapAsksAgainWhenTheLeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		d, raw := k.issue()
		k.swap(raw, exchange.SourceMiss)
		time.Sleep(499 * time.Millisecond)
		k.swap(raw, exchange.SourceHit)
		time.Sleep(time.Millisecond)
		g := k.swap(raw, exchange.SourceMiss) // the same ciphertext: only the lease is renewed
		if takes, verified := k.records.takes.Load(), k.keys.asked.Load(); takes != 2 || verified != 1 {
			t.Errorf("%d takes and %d verifications, want 2 and 1", takes, verified)
		}
		time.Sleep(499 * time.Millisecond)
		if again := k.swap(raw, exchange.SourceHit); again != g {
			t.Error("the renewed lease is around another grant")
		}

		if _, err := k.records.Delete(t.Context(), d.manifest.JTI); err != nil {
			t.Fatal(err)
		}
		k.swap(raw, exchange.SourceHit) // still under its lease: nobody has told the edge
		time.Sleep(time.Millisecond)
		if source := k.refused(raw, exchange.ReasonUnknown); source != exchange.SourceMiss {
			t.Errorf("source %q, want miss", source)
		}
		if source := k.refused(raw, exchange.ReasonUnknown); source != exchange.SourceNegative {
			t.Errorf("source %q, want negative", source)
		}
	})
}

func TestSwapRefusesFromTheSecondOfExpiryOn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		lease time.Duration
		want  exchange.Source
	}{
		{"while the lease still runs", 2 * life, exchange.SourceHit},
		{"after the lease", time.Millisecond, exchange.SourceHit}, // a signed exp needs no question to the store
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, func(c *exchange.Config) { c.Lease = row.lease })
				d, raw := k.issue()
				time.Sleep(time.Until(d.manifest.ExpiresAt) - time.Second)
				k.swap(raw, exchange.SourceMiss)
				time.Sleep(time.Second)
				if source := k.refused(raw, exchange.ReasonExpired); source != row.want {
					t.Errorf("source %q, want %q", source, row.want)
				}
			})
		})
	}
}

func TestSwapServesWithinTheLeaseAndNotBeyondWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, raw := k.issue()
		_, unseen := k.issue()
		k.swap(raw, exchange.SourceMiss)
		k.records.take = away
		time.Sleep(499 * time.Millisecond)
		k.swap(raw, exchange.SourceHit)
		k.refused(unseen, exchange.ReasonUnavailable)
		time.Sleep(time.Millisecond)
		for range 3 { // an error is never remembered
			if source := k.refused(raw, exchange.ReasonUnavailable); source != exchange.SourceMiss {
				t.Errorf("source %q, want miss", source)
			}
		}
		k.records.take = nil
		k.swap(raw, exchange.SourceMiss)
		k.swap(unseen, exchange.SourceMiss)
	})
}

func TestSwapSaysUnavailableWhenKeysAreAway(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	_, raw := k.issue()
	k.keys.down.Store(true)
	k.refused(raw, exchange.ReasonUnavailable)
	k.keys.down.Store(false)
	k.swap(raw, exchange.SourceMiss)
}

// The answer of the store is too old when the keys are there at last; it is asked for again, and not verified again.
func TestFirstSwapWaitsForKeysLongerThanTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.keys.delay = 3 * time.Second
		_, raw := k.issue()
		k.swap(raw, exchange.SourceMiss)
		if takes, verified := k.records.takes.Load(), k.keys.asked.Load(); takes != 2 || verified != 1 {
			t.Errorf("%d takes and %d verifications, want 2 and 1", takes, verified)
		}
		k.swap(raw, exchange.SourceHit)
	})
}

func TestDropEndsTheUseOfACachedAnswer(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *exchange.Config) { c.Lease = time.Hour })
	d, raw := k.issue()
	k.swap(raw, exchange.SourceMiss)
	k.edge.Drop(d.manifest.JTI)
	k.swap(raw, exchange.SourceMiss) // still in the store: a false alarm costs one question
	k.swap(raw, exchange.SourceHit)
	if verified := k.keys.asked.Load(); verified != 1 {
		t.Errorf("verified %d times, want once", verified)
	}
	if _, err := k.records.Delete(t.Context(), d.manifest.JTI); err != nil {
		t.Fatal(err)
	}
	k.edge.Drop(d.manifest.JTI)
	k.refused(raw, exchange.ReasonUnknown)
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	whole := exchange.Config{Issuer: issuerURL, Stamper: k.stamper, Records: k.records, Keys: k.keys}
	for name, spoil := range map[string]func(*exchange.Config){
		"no issuer":      func(c *exchange.Config) { c.Issuer = "" },
		"no stamper":     func(c *exchange.Config) { c.Stamper = nil },
		"no records":     func(c *exchange.Config) { c.Records = nil },
		"no keys":        func(c *exchange.Config) { c.Keys = nil },
		"negative lease": func(c *exchange.Config) { c.Lease = -1 },
		"negative cache": func(c *exchange.Config) { c.CacheBytes = -1 },
	} {
		c := whole
		spoil(&c)
		if x, err := exchange.New(c); err == nil || x != nil {
			t.Errorf("%s: New accepts it", name)
		}
	}
}

func TestRefusalIsOneSentinelAndCarriesItsDetail(t *testing.T) {
	t.Parallel()
	detail := errors.New("detail")
	err := error(&exchange.Refusal{Reason: exchange.ReasonTampered, Err: detail})
	if !errors.Is(err, exchange.ErrInactive) || !errors.Is(err, detail) || errors.Is(err, exchange.ErrUnavailable) {
		t.Errorf("%v is not ErrInactive with its detail", err)
	}
	if want := "exchange: reference is not active: tampered: detail"; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
}
