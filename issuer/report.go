package issuer

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// event is what may be said about one request: nothing in it is secret, and nothing in it was chosen by somebody
// who has not authenticated, but for the name of a configured client.
type event struct {
	started time.Time
	address netip.Addr // of the connection's other end: a proxy's, if there is one; no header is believed
	traceID string     // empty: not sampled
	client  string     // configured name; empty: unknown
	grant   *grant     // once decided
	keyID   string
	refused *refusal // nil: issued
}

func (e event) outcome() outcome {
	if e.refused != nil {
		return e.refused.outcome
	}
	return issued
}

// report tells the log, the metrics and a sampled trace how the request ended.
func (i *Issuer) report(ctx context.Context, span trace.Span, e event) {
	name := e.client
	if name == "" {
		name = "unknown"
	}
	outcome := string(e.outcome())
	i.issued.Add(ctx, 1, metric.WithAttributes(attribute.String("client", name), attribute.String("outcome", outcome)))
	if span.IsRecording() {
		e.traceID = span.SpanContext().TraceID().String()
		span.SetAttributes(attribute.String("coatcheck.client", name), attribute.String("coatcheck.outcome", outcome))
	}
	status, _ := e.outcome().answer()
	level, message := slog.LevelInfo, "token issued"
	switch {
	case status >= http.StatusInternalServerError:
		level, message = slog.LevelError, "token refused"
	case e.refused != nil:
		level, message = slog.LevelWarn, "token refused"
	}
	if i.logger.Enabled(ctx, level) {
		i.logger.LogAttrs(ctx, level, message, e.attributes(name)...)
	}
}

func (e event) attributes(name string) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("client", name),
		slog.String("outcome", string(e.outcome())),
		slog.Float64("duration_ms", float64(time.Since(e.started).Microseconds())/1000),
	}
	if e.address.IsValid() {
		attrs = append(attrs, slog.String("address", e.address.String()))
	}
	if e.traceID != "" {
		attrs = append(attrs, slog.String("trace_id", e.traceID))
	}
	if g := e.grant; g != nil {
		audiences := make([]string, len(g.shares))
		for n, s := range g.shares {
			audiences[n] = s.audience
		}
		attrs = append(attrs, slog.String("jti", g.jti), slog.String("key_id", e.keyID),
			slog.Any("audiences", audiences), slog.String("scope", g.scope()), slog.Time("expires", g.expires))
	}
	if e.refused != nil {
		attrs = append(attrs, slog.String("reason", e.refused.why))
		if e.refused.detail != nil {
			attrs = append(attrs, slog.String("error", e.refused.detail.Error()))
		}
	}
	return attrs
}
