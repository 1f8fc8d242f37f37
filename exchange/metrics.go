package exchange

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// observe offers the size of the cache to a meter: coatcheck_cache_entries, coatcheck_cache_bytes and
// coatcheck_cache_evictions_total. The values are read when somebody collects; a swap pays nothing.
func (c *cache) observe(p metric.MeterProvider) error {
	if p == nil {
		return nil
	}
	m := p.Meter("github.com/coatcheck/coatcheck/exchange")
	_, err := m.Int64ObservableGauge("coatcheck_cache_entries",
		metric.WithDescription("Grants in the cache of this edge."),
		metric.WithInt64Callback(observed(func() int64 { return int64(c.entries.EstimatedSize()) })))
	if err == nil {
		_, err = m.Int64ObservableGauge("coatcheck_cache_bytes",
			metric.WithDescription("Bytes that the grants in the cache hold."),
			metric.WithInt64Callback(observed(func() int64 { return int64(c.entries.WeightedSize()) })))
	}
	if err == nil {
		_, err = m.Int64ObservableCounter("coatcheck_cache_evictions",
			metric.WithDescription("Grants that left the cache because it was full."),
			metric.WithInt64Callback(observed(c.evicted.Load)))
	}
	if err != nil {
		return fmt.Errorf("exchange: metrics: %w", err)
	}
	return nil
}

func observed(value func() int64) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(value())
		return nil
	}
}
