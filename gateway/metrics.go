package gateway

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/coatcheck/coatcheck/gateway"

// meter holds the instruments. Attribute sets are built once and kept, for building one costs more than counting.
type meter struct {
	requests metric.Int64Counter
	swaps    metric.Float64Histogram
	spent    metric.Float64Histogram
	faults   metric.Int64Counter

	byOutcome series[outcome, metric.AddOption]
	byCache   series[string, metric.RecordOption]
	byRoute   series[string, metric.RecordOption]
	byFault   series[[2]string, metric.AddOption]
}

func newMeter(p metric.MeterProvider) (*meter, error) {
	m, from := &meter{}, p.Meter(scope)
	var errs [4]error
	m.requests, errs[0] = from.Int64Counter("coatcheck_requests",
		metric.WithDescription("Requests at the edge, by route, decision, reason and where the swap's answer came from."))
	m.swaps, errs[1] = from.Float64Histogram("coatcheck_swap", metric.WithUnit("s"),
		metric.WithDescription("Time from reference to grant."),
		metric.WithExplicitBucketBoundaries(1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1))
	m.spent, errs[2] = from.Float64Histogram("coatcheck_request", metric.WithUnit("s"),
		metric.WithDescription("Time from a request's header to the last byte of its answer, upstream included."),
		metric.WithExplicitBucketBoundaries(5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30))
	m.faults, errs[3] = from.Int64Counter("coatcheck_upstream_errors",
		metric.WithDescription("Requests that an upstream has not answered, or not to the end."))
	return m, errors.Join(errs[:]...)
}

func (m *meter) record(o outcome, took, swapTook time.Duration) {
	ctx := context.Background()
	m.requests.Add(ctx, 1, m.byOutcome.of(o, func() metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("route", o.route), attribute.String("decision", o.decision),
			attribute.String("reason", o.reason), attribute.String("cache", o.cache)))
	})...)
	m.spent.Record(ctx, took.Seconds(), m.byRoute.of(o.route, func() metric.RecordOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("route", o.route)))
	})...)
	if swapTook > 0 {
		m.swaps.Record(ctx, swapTook.Seconds(), m.byCache.of(o.cache, func() metric.RecordOption {
			return metric.WithAttributeSet(attribute.NewSet(attribute.String("cache", o.cache)))
		})...)
	}
}

func (m *meter) upstreamTrouble(upstream string, f trouble) {
	m.faults.Add(context.Background(), 1, m.byFault.of([2]string{upstream, string(f)}, func() metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("upstream", upstream), attribute.String("reason", string(f))))
	})...)
}

// series remembers the options of each label value: read on every request, written once for each of a closed set.
type series[K comparable, O any] struct {
	known atomic.Pointer[map[K][]O]
	mu    sync.Mutex // guards the replacing of known
}

func (s *series[K, O]) of(key K, build func() O) []O {
	if known := s.known.Load(); known != nil {
		if o, ok := (*known)[key]; ok {
			return o
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[K][]O{}
	if known := s.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	if _, ok := next[key]; !ok {
		next[key] = []O{build()}
	}
	s.known.Store(&next)
	return next[key]
}
