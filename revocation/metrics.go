package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

const scope = "github.com/coatcheck/coatcheck/revocation"

// followMeters are a Follower's metrics:
//
//	coatcheck_lease_age_seconds{shard}           since the pull was sent that gave the last lease; before: since the start
//	coatcheck_log_position{shard}                seq of the last entry applied
//	coatcheck_log_lag{shard}                     entries that the last answer brought
//	coatcheck_shards_closed                      shards that said so when they were last asked
//	coatcheck_log_flushes_total{shard}           times that everything kept from a shard was forgotten
//	coatcheck_revocations_applied_total{kind}    entries read; "unknown" is of a later version
//	coatcheck_streams_cut_total{cause}           watches that ended before they were stopped
type followMeters struct {
	flushes metric.Int64Counter
	entries metric.Int64Counter
	cuts    metric.Int64Counter

	byShard []metric.MeasurementOption
	byKind  map[store.Kind]metric.MeasurementOption
	byCause map[Cause]metric.MeasurementOption
}

func newFollowMeters(p metric.MeterProvider, f *Follower) (followMeters, error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	from := p.Meter(scope)
	m := followMeters{byKind: map[store.Kind]metric.MeasurementOption{}, byCause: map[Cause]metric.MeasurementOption{}}
	for _, s := range f.shards {
		m.byShard = append(m.byShard, metric.WithAttributeSet(attribute.NewSet(attribute.Int("shard", s.number))))
	}
	for _, k := range []store.Kind{Token, Family, Client, Subject, Before, Key, unknownKind} {
		m.byKind[k] = metric.WithAttributeSet(attribute.NewSet(attribute.String("kind", string(k))))
	}
	for _, c := range []Cause{Revoked, Expired, LeaseLost} {
		m.byCause[c] = metric.WithAttributeSet(attribute.NewSet(attribute.String("cause", string(c))))
	}
	var errs [4]error
	m.flushes, errs[0] = from.Int64Counter("coatcheck_log_flushes",
		metric.WithDescription("Times that everything kept from a shard was forgotten, because its log had no history in common with what was read."))
	m.entries, errs[1] = from.Int64Counter("coatcheck_revocations_applied",
		metric.WithDescription("Entries of the revocation log that were read, by kind."))
	m.cuts, errs[2] = from.Int64Counter("coatcheck_streams_cut",
		metric.WithDescription("Open streams whose grant was revoked or expired, or not known to live for the grace."))
	errs[3] = m.observe(from, f)
	if err := errors.Join(errs[:]...); err != nil {
		return followMeters{}, fmt.Errorf("revocation: metrics: %w", err)
	}
	return m, nil
}

// observe offers what is read when somebody collects; following pays nothing for it.
func (m followMeters) observe(from metric.Meter, f *Follower) error {
	var errs [5]error
	var age metric.Float64ObservableGauge
	var position, lag, closed metric.Int64ObservableGauge
	age, errs[0] = from.Float64ObservableGauge("coatcheck_lease_age", metric.WithUnit("s"),
		metric.WithDescription("Time since the pull was sent that gave the last lease."))
	position, errs[1] = from.Int64ObservableGauge("coatcheck_log_position",
		metric.WithDescription("Position in the revocation log up to which it has been applied."))
	lag, errs[2] = from.Int64ObservableGauge("coatcheck_log_lag",
		metric.WithDescription("Entries that the last answer brought: how far behind the log this process was."))
	closed, errs[3] = from.Int64ObservableGauge("coatcheck_shards_closed",
		metric.WithDescription("Shards that were closed when they were last asked."))
	_, errs[4] = from.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := f.moment(time.Now()).mono
		shut := int64(0)
		for i, s := range f.shards {
			at, behind, trouble := s.standing()
			o.ObserveFloat64(age, (now - s.lease.Load().sent.mono).Seconds(), m.byShard[i])
			o.ObserveInt64(position, int64(at), m.byShard[i])
			o.ObserveInt64(lag, int64(behind), m.byShard[i])
			if errors.Is(trouble, store.ErrClosed) {
				shut++
			}
		}
		o.ObserveInt64(closed, shut)
		return nil
	}, age, position, lag, closed)
	return errors.Join(errs[:]...)
}

// unknownKind is the label of kinds that this version does not know.
const unknownKind store.Kind = "unknown"

func (m followMeters) flushed(ctx context.Context, shard int) {
	m.flushes.Add(ctx, 1, m.byShard[shard])
}

func (m followMeters) applied(ctx context.Context, entries []store.Entry) {
	for _, e := range entries {
		by, known := m.byKind[e.Kind]
		if !known {
			by = m.byKind[unknownKind]
		}
		m.entries.Add(ctx, 1, by)
	}
}

func (m followMeters) cut(c Cause) { m.cuts.Add(context.Background(), 1, m.byCause[c]) }
