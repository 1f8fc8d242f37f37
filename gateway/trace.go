package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// sampled decides before anything is built: a tracer that decides for itself has by then spent more than the swap.
// A traceparent from outside is not read, for strangers would then choose what we trace and pay for, and join their
// identifiers to ours: each trace begins here.
func (e *Edge) sampled() bool {
	return e.traceSample > 0 && rand.Float64() < e.traceSample
}

func (v *visit) startSpan(ctx context.Context) context.Context {
	ctx, v.span = v.edge.tracer.Start(ctx, v.method, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(v.start))
	return ctx
}

// endSpan names the span after its route, which was not known when it began. No attribute holds a path or a header.
func (v *visit) endSpan(o outcome) {
	if v.span == nil {
		return
	}
	if v.route != nil {
		v.span.SetName(v.method + " " + o.route)
		pattern := v.route.Match[strings.IndexByte(v.route.Match, ' ')+1:] // without the method
		v.span.SetAttributes(attribute.String("http.route", pattern), attribute.String("coatcheck.upstream", v.route.Upstream))
	}
	if v.grant != nil {
		v.span.SetAttributes(attribute.String("coatcheck.jti", v.grant.JTI()))
	}
	v.span.SetAttributes(
		attribute.String("http.request.method", v.method),
		attribute.Int("http.response.status_code", v.status()),
		attribute.String("coatcheck.route", o.route),
		attribute.String("coatcheck.decision", o.decision),
		attribute.String("coatcheck.reason", o.reason),
		attribute.String("coatcheck.cache", o.cache),
		attribute.String("coatcheck.request_id", v.id),
	)
	if o.decision == decisionError {
		v.span.SetStatus(codes.Error, o.reason)
	}
	v.span.End()
}

// propagate tells the upstream its parent (W3C Trace Context §3.2). A request that is not sampled carries none: its
// upstream may begin a trace of its own.
func (v *visit) propagate(h http.Header) {
	if v.span == nil {
		return
	}
	if c := v.span.SpanContext(); c.IsValid() {
		h["Traceparent"] = []string{"00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()}
	}
}
