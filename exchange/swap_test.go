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
	k := newKit(t, hold)
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
	k := newKit(t, hold)
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

func TestSwapRefusesFromTheSecondOfExpiryOn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		down bool
	}{
		{"under a lease", false},
		{"without a lease", true}, // a signed exp needs no question to the store
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				d, raw := k.issue()
				time.Sleep(time.Until(d.manifest.ExpiresAt) - time.Second)
				p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
				k.feed.down.Store(row.down)
				time.Sleep(time.Second - 1)
				k.decide(p)
				time.Sleep(1)
				if source := k.refused(raw, exchange.ReasonExpired); source != exchange.SourceHit {
					t.Errorf("source %q, want hit", source)
				}
				k.undecided(p, exchange.ReasonExpired)
			})
		})
	}
}

func TestSwapSaysUnavailableWhenKeysAreAway(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	_, raw := k.issue()
	k.keys.down.Store(true)
	k.refused(raw, exchange.ReasonUnavailable)
	k.keys.down.Store(false)
	k.swap(raw, exchange.SourceMiss)
}

// The first signature waits for the issuer's keys longer than an answer may be used. Under a lease the log vouches for
// the answer meanwhile; without one it is asked for again.
func TestFirstSwapWaitsForKeysLongerThanTheLease(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		down  bool
		takes int64
		then  exchange.Source
	}{
		{"under a lease", false, 1, exchange.SourceHit},
		{"without a lease", true, 2, exchange.SourceMiss},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				k.feed.down.Store(row.down)
				time.Sleep(lease)
				k.keys.delay.Store(int64(3 * time.Second))
				_, raw := k.issue()
				k.swap(raw, exchange.SourceMiss)
				if takes := k.records.takes.Load(); takes != row.takes {
					t.Errorf("%d takes, want %d", takes, row.takes)
				}
				k.swap(raw, row.then)
			})
		})
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	whole := exchange.Config{Issuer: issuerURL, Stamper: k.stamper, Records: k.records, Keys: k.keys, Log: k.follower}
	for name, spoil := range map[string]func(*exchange.Config){
		"no issuer":      func(c *exchange.Config) { c.Issuer = "" },
		"no stamper":     func(c *exchange.Config) { c.Stamper = nil },
		"no records":     func(c *exchange.Config) { c.Records = nil },
		"no keys":        func(c *exchange.Config) { c.Keys = nil },
		"no log":         func(c *exchange.Config) { c.Log = nil },
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
