package audit

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// counts are the metrics of a log.
type counts struct{ events metric.Int64Counter }

func newCounts(p metric.MeterProvider, l *Log) (counts, error) {
	meter := p.Meter("github.com/coatcheck/coatcheck/audit")
	events, err := meter.Int64Counter("coatcheck_audit_events", metric.WithDescription("Events of the audit log by what became of them."))
	if err != nil {
		return counts{}, err
	}
	seq, err := meter.Int64ObservableGauge("coatcheck_audit_seq", metric.WithDescription("Number of the last line of the audit log."))
	if err != nil {
		return counts{}, err
	}
	failing, err := meter.Int64ObservableGauge("coatcheck_audit_failing", metric.WithDescription("Whether events cannot be written now: 1 or 0."))
	if err != nil {
		return counts{}, err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var now int64
		if l.Ready() != nil {
			now = 1
		}
		o.ObserveInt64(failing, now)
		l.mu.Lock()
		defer l.mu.Unlock()
		o.ObserveInt64(seq, int64(l.end.Seq))
		return nil
	}, seq, failing)
	return counts{events}, err
}

func (c counts) written(n int) { c.add(n, "written") }
func (c counts) lost(n int)    { c.add(n, "lost") }

func (c counts) add(n int, outcome string) {
	if n > 0 {
		c.events.Add(context.Background(), int64(n), metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}
