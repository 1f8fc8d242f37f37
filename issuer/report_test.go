package issuer

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Labels come from closed sets: configured clients and our own outcomes. A stranger cannot add a series.
func TestMetricLabelsAreClosedSets(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	k := newKit(t, func(c *Config) { c.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)) })
	k.token(t, shop())
	k.token(t, shop())
	k.post(t, shop("client_secret", "wrong-secret-0123456789"), nil)
	for _, stranger := range []string{"nobody", "somebody", "client\n{"} {
		k.post(t, shop("client_id", stranger), nil)
	}
	k.post(t, shop("scope", "nope"), nil)
	k.postRevoke(t, revocationOf(k.token(t, shop("client_id", "single")).AccessToken, "client_id", "single"), nil)
	k.postRevoke(t, revocationOf("x"), nil)
	k.postRevoke(t, revocationOf("x", "client_id", "nobody"), nil)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			client, _ := p.Attributes.Value("client")
			outcome, _ := p.Attributes.Value("outcome")
			got[m.Name+" "+client.AsString()+" "+outcome.AsString()] = p.Value
		}
	}
	want := map[string]int64{
		"coatcheck_tokens_issued shop issued": 2, "coatcheck_tokens_issued shop invalid_client": 1,
		"coatcheck_tokens_issued unknown invalid_client": 3, "coatcheck_tokens_issued shop invalid_scope": 1,
		"coatcheck_tokens_issued single issued":        1,
		"coatcheck_revocation_requests single revoked": 1, "coatcheck_revocation_requests shop nothing_to_revoke": 1,
		"coatcheck_revocation_requests unknown invalid_client": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// One line per request, which names the grant by its jti.
func TestAuditLine(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a := k.token(t, shop())
	lines := strings.Split(strings.TrimSpace(k.log.String()), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatal(err)
	}
	r, err := k.keeper.Current()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"time": got["time"], "level": "INFO", "msg": "token issued", "client": "shop", "outcome": "issued",
		"jti": k.swap(t, a.AccessToken).JTI(), "grant_type": "client_credentials", "key_id": r.Active().ID(), "audiences": []any{"orders-api"},
		"scope": "orders:read orders:write", "expires": got["expires"], "duration_ms": got["duration_ms"],
		"address": "192.0.2.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestSpanOnlyWhenSampled(t *testing.T) {
	t.Parallel()
	for sampler, want := range map[sdktrace.Sampler]int{sdktrace.AlwaysSample(): 1, sdktrace.NeverSample(): 0} {
		spans := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sampler))
		k := newKit(t, func(c *Config) { c.Tracer = provider })
		k.token(t, shop())
		got := spans.GetSpans()
		for _, s := range got {
			if id := s.SpanContext.TraceID().String(); !strings.Contains(k.log.String(), `"trace_id":"`+id+`"`) {
				t.Errorf("the log does not name trace %s:\n%s", id, k.log)
			}
		}
		if len(got) != want {
			t.Errorf("%s: %d spans, want %d", sampler.Description(), len(got), want)
		}
		for _, s := range got {
			attrs := attribute.NewSet(s.Attributes...)
			if client, _ := attrs.Value("coatcheck.client"); client.AsString() != "shop" || attrs.Len() != 2 {
				t.Errorf("span has %v, want client and outcome alone", s.Attributes)
			}
		}
	}
}
