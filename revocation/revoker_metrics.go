package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// revokeMeters are a Revoker's metrics:
//
//	coatcheck_revocations_total{kind,outcome}    asked for; outcome is "ok", "not_durable" or "refused"
//	coatcheck_revocation_seconds                 from the question to the answer: the lease and a little
//	coatcheck_journal_bytes                      of the file
//	coatcheck_journal_entries                    in it, also those that name nothing alive any more
type revokeMeters struct {
	asked   metric.Int64Counter
	seconds metric.Float64Histogram
}

func newRevokeMeters(p metric.MeterProvider, j *Journal) (revokeMeters, error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	from := p.Meter(scope)
	var m revokeMeters
	var errs [5]error
	m.asked, errs[0] = from.Int64Counter("coatcheck_revocations",
		metric.WithDescription("Revocations asked for, by kind and outcome."))
	m.seconds, errs[1] = from.Float64Histogram("coatcheck_revocation", metric.WithUnit("s"),
		metric.WithDescription("Time until a revocation was in force everywhere, or was given up."),
		metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, .55, .6, .75, 1, 1.5, 2, 3, 5))
	bytes, err := from.Int64ObservableGauge("coatcheck_journal_bytes",
		metric.WithDescription("Size of the revocation journal."))
	errs[2] = err
	entries, err := from.Int64ObservableGauge("coatcheck_journal_entries",
		metric.WithDescription("Entries of the revocation journal."))
	errs[3] = err
	_, errs[4] = from.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		size, count, _ := j.state()
		o.ObserveInt64(bytes, int64(size))
		o.ObserveInt64(entries, int64(count))
		return nil
	}, bytes, entries)
	if err := errors.Join(errs[:]...); err != nil {
		return revokeMeters{}, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// record is called once for each Revoke.
func (m revokeMeters) record(ctx context.Context, rs []Revocation, took time.Duration, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, ErrNotDurable):
		outcome = "not_durable"
	case err != nil:
		outcome = "refused"
	}
	for _, r := range rs {
		kind := r.Kind
		if _, known := kindByte(kind); !known {
			kind = unknownKind
		}
		m.asked.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(kind)), attribute.String("outcome", outcome)))
	}
	m.seconds.Record(ctx, took.Seconds())
}
