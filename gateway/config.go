package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/routes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Swapper is what the edge needs of package exchange.
type Swapper interface {
	// Swap finds the live grant behind a presented string; errors are *exchange.Refusal. Safe for concurrent use.
	// It may block for one bounded question to the store, and honours ctx. The decision is the Pass's.
	Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error)
}

// Upstream is the service behind a route.
type Upstream struct {
	Name    string        // for logs; New takes the key in Config.Upstreams
	Targets []*url.URL    // at least one; used in turn
	Health  string        // path asked of each target in the background; empty: never asked, always used
	Timeout time.Duration // until response headers; default 30 s
	TLS     *tls.Config   // nil: system roots
}

// Config configures an Edge. The zero value of each optional field is the safe default.
type Config struct {
	Realm          string              // in challenges; default "coatcheck"; printable ASCII without '"' and '\'
	Table          *routes.Table       // required
	Upstreams      map[string]Upstream // required; every route's upstream
	Swapper        Swapper             // required
	MaxBody        int64               // bytes of a request body; default 1 MiB; beyond it 413
	RequestTimeout time.Duration       // whole request, streams excepted; default 30 s; beyond it 504, or 408 when the client is the slow one
	PerClient      float64             // requests a second and client, on this edge; 0: no limit
	PerClientBurst int                 // default: PerClient rounded up
	// BadReferencesPerAddress is how many references a second that nobody issued (malformed or forged) one address (a
	// /64 of IPv6) may present; its next ones get 429 in place of 401. 0 is the default of 20, so that a forgotten field
	// does not switch the brake off; a negative number does. (In a configuration file 0 is off, and what is left out is
	// the default.) It never delays a live reference, nor the 401 of one that was live, so a balancer in front that hides
	// all clients behind one address does no harm.
	BadReferencesPerAddress float64
	TrustedProxies          []netip.Prefix       // peers whose X-Forwarded-For is believed; empty: none
	Logger                  *slog.Logger         // nil: discards
	Meter                   metric.MeterProvider // nil: none
	Tracer                  trace.TracerProvider // nil: none; it should sample always, for TraceSample has already chosen
	TraceSample             float64              // share of requests that are traced, 0 to 1; decided before any span is built
	// ExposeDecisionForDevelopment adds Coatcheck-Decision to answers: route, audience, cache, jti, and decided_ns, which the
	// access log then has too: when the request was let through, by the host's CLOCK_MONOTONIC. Only `coatcheck dev` sets it.
	ExposeDecisionForDevelopment bool
}

const (
	defaultRealm         = "coatcheck"
	defaultMaxBody       = 1 << 20
	defaultTimeout       = 30 * time.Second
	defaultBadReferences = 20
)

// complete fills in the defaults and refuses what cannot be served safely.
func (c Config) complete() (Config, error) {
	if err := c.faults(); err != nil {
		return c, err
	}
	if c.Realm == "" {
		c.Realm = defaultRealm
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = defaultTimeout
	}
	if c.BadReferencesPerAddress == 0 {
		c.BadReferencesPerAddress = defaultBadReferences
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = metricnoop.NewMeterProvider()
	}
	if c.Tracer == nil {
		c.Tracer, c.TraceSample = tracenoop.NewTracerProvider(), 0
	}
	return c, nil
}

// faults names every field that is missing or cannot be meant.
func (c Config) faults() error {
	var faults []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("gateway: "+format, args...))
		}
	}
	refuse(c.Table == nil, "Table is required")
	refuse(c.Swapper == nil, "Swapper is required")
	refuse(c.Realm != quotable(c.Realm), `Realm %q: use printable ASCII without " and \`, c.Realm)
	refuse(c.MaxBody < 0, "MaxBody %d is negative", c.MaxBody)
	refuse(c.RequestTimeout < 0, "RequestTimeout %v is negative", c.RequestTimeout)
	refuse(!(c.PerClient >= 0) || math.IsInf(c.PerClient, 0), "PerClient %v: give requests a second, 0 for no limit", c.PerClient)
	refuse(c.PerClientBurst < 0, "PerClientBurst %d is negative", c.PerClientBurst)
	refuse(math.IsNaN(c.BadReferencesPerAddress), "BadReferencesPerAddress is not a number")
	refuse(!(c.TraceSample >= 0 && c.TraceSample <= 1), "TraceSample %v is not within 0 and 1", c.TraceSample)
	if c.Table != nil {
		for _, r := range c.Table.All() {
			_, known := c.Upstreams[r.Upstream]
			refuse(!known, "route %s names upstream %q, which is not in Upstreams", r.Name, r.Upstream)
			// The table has checked this too; a gap here would be an open door, so it is asked twice.
			refuse(r.Public != (r.Audience == ""), "route %s must name an audience or be public, not both", r.Name)
		}
	}
	return errors.Join(faults...)
}
