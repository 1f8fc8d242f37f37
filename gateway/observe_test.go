package gateway_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/gateway"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// One line for each request, with what an operator asks for and nothing that is the client's business.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.get("/orders/private-17?name=private", bearer(g.reference), "X-Request-Id: req-1", "Cookie: private", "User-Agent: private")
	h.get("/orders/private-17", bearer("private"))
	h.get("/docs/private")
	h.send("PRIVATE", "/orders", "")
	want := []map[string]any{
		{"route": "orders-read", "method": "GET", "status": 200.0, "decision": "allow", "reason": "swapped", "cache": "miss", "jti": g.jti, "client": "partner-shop", "upstream": "orders", "request_id": "req-1", "bytes": 5.0, "address": "127.0.0.1"},
		{"route": "orders-read", "method": "GET", "status": 401.0, "decision": "deny", "reason": "malformed", "cache": "none", "jti": nil, "upstream": "orders"},
		{"route": "docs", "method": "GET", "status": 200.0, "decision": "allow", "reason": "public", "cache": "none", "jti": nil},
		{"route": "none", "method": "OTHER", "status": 405.0, "decision": "deny", "reason": "method_not_allowed", "cache": "none"},
	}
	for i, w := range want {
		e := h.log.entry(t, i)
		for key, value := range w {
			if diff := cmp.Diff(value, e[key]); diff != "" {
				t.Errorf("line %d, %s: %s", i, key, diff)
			}
		}
		if ms, ok := e["duration_ms"].(float64); !ok || ms <= 0 {
			t.Errorf("line %d: duration_ms %v", i, e["duration_ms"])
		}
	}
	if strings.Contains(strings.ToLower(h.log.String()), "private") {
		t.Errorf("log holds what a client has sent:\n%s", h.log)
	}
}

// A request id from outside is kept if it is harmless, else a new one is made; it is echoed and forwarded.
func TestRequestID(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for id, kept := range map[string]bool{
		"a": true, "Az09.-_": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, `a"b`: false, "a<b>": false, "ä": false, "a,b": false, "a/b": false,
	} {
		a := h.get("/docs/1", "X-Request-Id: "+id)
		got := a.header.Values("X-Request-Id")
		if len(got) != 1 || (got[0] == id) != kept || h.one().header.Get("X-Request-Id") != got[0] {
			t.Errorf("id %q came back as %q, want it kept: %v", id, got, kept)
		}
	}
	if a := h.get("/docs/1", "X-Request-Id: a", "X-Request-Id: b"); len(a.header.Get("X-Request-Id")) != 32 {
		t.Errorf("two ids came back as %q, want a new one", a.header.Get("X-Request-Id"))
	}
	h.one()
	if a := h.get("/nowhere", "X-Request-Id: mine"); !strings.Contains(a.body, `"request_id":"mine"`) {
		t.Errorf("problem document %s, want the request id in it", a.body)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	h := newHouse(t, func(c *gateway.Config) { c.Meter = metric.NewMeterProvider(metric.WithReader(reader)) })
	g := h.full()
	for range 3 {
		h.get("/orders/1", bearer(g.reference))
	}
	h.get("/orders/1")
	h.get("/nowhere-" + g.jti)
	h.send(strings.ToUpper(g.jti[:8]), "/any", "", bearer(g.reference))
	h.service.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h.get("/any", bearer(g.reference))
	h.log.entry(t, 6)

	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range data.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				got[m.Name+encode(p.Attributes)] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				got[m.Name+encode(p.Attributes)] = int64(p.Count)
			}
		}
	}
	for name, want := range map[string]int64{
		"coatcheck_requests{cache=hit,decision=allow,reason=swapped,route=orders-read}":              2,
		"coatcheck_requests{cache=miss,decision=allow,reason=swapped,route=orders-read}":             1,
		"coatcheck_requests{cache=none,decision=deny,reason=credentials_required,route=orders-read}": 1,
		"coatcheck_requests{cache=none,decision=deny,reason=no_route,route=none}":                    1,
		"coatcheck_requests{cache=none,decision=deny,reason=method_not_allowed,route=none}":          1,
		"coatcheck_requests{cache=hit,decision=error,reason=upstream_error,route=any}":               1,
		"coatcheck_swap{cache=hit}":                               3,
		"coatcheck_swap{cache=miss}":                              1,
		"coatcheck_request{route=orders-read}":                    4,
		"coatcheck_upstream_errors{reason=reset,upstream=orders}": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d; there are %v", name, got[name], want, got)
		}
	}
}

func encode(s attribute.Set) string {
	var pairs []string
	for _, kv := range s.ToSlice() {
		pairs = append(pairs, string(kv.Key)+"="+kv.Value.AsString())
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

// A trace begins at the edge, whatever the client says, and goes on in the upstream.
func TestTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	h := newHouse(t, func(c *gateway.Config) {
		c.Tracer, c.TraceSample = trace.NewTracerProvider(trace.WithSpanProcessor(spans)), 1
	})
	g := h.full()
	outside := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	h.get("/orders/1", bearer(g.reference), "traceparent: "+outside, "tracestate: a=b")
	r := h.one()
	e := h.log.entry(t, 0)
	eventually(t, "the span ends", func() bool { return len(spans.Ended()) == 1 })
	span := spans.Ended()[0]
	id := span.SpanContext().TraceID().String()
	if want := "00-" + id + "-" + span.SpanContext().SpanID().String() + "-01"; r.header.Get("Traceparent") != want || r.header.Get("Tracestate") != "" {
		t.Errorf("upstream got traceparent %q and tracestate %q, want %q and none", r.header.Get("Traceparent"), r.header.Get("Tracestate"), want)
	}
	if strings.Contains(outside, id) || e["trace_id"] != id {
		t.Errorf("trace is %s, log says %v; want a new one in both", id, e["trace_id"])
	}
	if got, want := span.Name(), "GET orders-read"; got != want {
		t.Errorf("span is %q, want %q", got, want)
	}
	var attributes strings.Builder
	for _, kv := range span.Attributes() {
		attributes.WriteString(string(kv.Key) + "=" + kv.Value.String() + "\n")
	}
	for _, want := range []string{"http.route=/orders/{rest...}", "http.response.status_code=200", "coatcheck.decision=allow", "coatcheck.jti=" + g.jti} {
		if !strings.Contains(attributes.String(), want+"\n") {
			t.Errorf("span has no %s:\n%s", want, &attributes)
		}
	}
	absent(t, "span", attributes.String(), g.reference, g.jwt["orders-api"])
}

// What is not sampled carries no trace at all, least of all the client's.
func TestUnsampledRequestCarriesNoTrace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.get("/docs/1", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b", "baggage: c=d")
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
		if v := h.service.requests()[0].header.Get(name); v != "" {
			t.Errorf("upstream got %s %q", name, v)
		}
	}
}
