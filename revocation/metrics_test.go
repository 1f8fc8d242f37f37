package revocation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// collect reads every value of a meter: name{labels} → value.
func collect(t *testing.T, r *metric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &all); err != nil {
		t.Fatalf("collect: %v", err)
	}
	values := map[string]float64{}
	put := func(name string, set attribute.Set, value float64) {
		values[fmt.Sprintf("%s{%s}", name, set.Encoded(attribute.DefaultEncoder()))] = value
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					put(m.Name+" in "+m.Unit, p.Attributes, p.Value)
				}
			}
		}
	}
	return values
}

func TestFollowerMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(2)
		r := metric.NewManualReader()
		f := newFollower(t, revocation.FollowerConfig{Log: l, Meter: metric.NewMeterProvider(metric.WithReader(r))})
		pass(3 * time.Second)
		if got := collect(t, r)["coatcheck_lease_age in s{shard=0}"]; got != 3 {
			t.Errorf("before the first pull the age of the lease is %v s, want the 3 s since the start", got)
		}
		l.revoke(0, store.KindToken, "a")
		run(t, f)
		pass(0)
		l.change(func() { l.shards[0].incarnation, l.shards[0].log = "second", nil })
		pass(onePull)
		w := watch(t, f, l, 0, "one", far)
		l.revoke(0, store.KindToken, "jti-one")
		l.revoke(0, store.KindClient, "client-two")
		l.revoke(0, "of-a-later-version", "x")
		pass(onePull)
		<-w.Done()
		l.change(func() { l.shards[1].err = fmt.Errorf("%w: %w", store.ErrClosed, store.ErrUnavailable) })
		l.change(func() { l.before = slow(5 * time.Millisecond) })
		pass(f.Left(1, time.Now()))
		got := collect(t, r)
		if age := got["coatcheck_lease_age in s{shard=0}"]; age > (onePull + 5*time.Millisecond).Seconds() {
			t.Errorf("age of the lease of an open shard: %v s, want under a pull", age)
		}
		delete(got, "coatcheck_lease_age in s{shard=0}")
		want := map[string]float64{
			"coatcheck_lease_age in s{shard=1}":           leaseLength.Seconds(),
			"coatcheck_log_flushes{shard=0}":              1,
			"coatcheck_log_lag{shard=0}":                  0,
			"coatcheck_log_lag{shard=1}":                  0,
			"coatcheck_log_position{shard=0}":             3,
			"coatcheck_log_position{shard=1}":             0,
			"coatcheck_revocations_applied{kind=client}":  1,
			"coatcheck_revocations_applied{kind=token}":   1,
			"coatcheck_revocations_applied{kind=unknown}": 1,
			"coatcheck_shards_closed{}":                   1,
			"coatcheck_streams_cut{cause=revoked}":        1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

// TestFollowerLogsALostLeaseOnce: not at each pull.
func TestFollowerLogsALostLeaseOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newFakeLog(1)
		f := newFollower(t, revocation.FollowerConfig{Log: l, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
		run(t, f)
		pass(time.Second)
		for range 2 {
			l.change(func() { l.shards[0].err = store.ErrUnavailable })
			pass(time.Minute)
			l.change(func() { l.shards[0].err = nil })
			pass(time.Minute)
		}
		var got []string
		for line := range bytes.Lines(out.Bytes()) {
			var entry struct{ Level, Msg string }
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatalf("log line %q: %v", line, err)
			}
			got = append(got, entry.Level)
		}
		want := []string{"WARN", "INFO", "WARN", "INFO"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("levels logged (-want +got):\n%s\n%s", diff, out.String())
		}
	})
}
