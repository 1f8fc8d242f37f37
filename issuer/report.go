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
	started   time.Time
	address   netip.Addr // where it comes from; not valid: nobody knows
	traceID   string     // empty: not sampled
	client    string     // configured name; empty: unknown
	added     bool       // that client was added at run time
	grant     *grant     // to be issued, once decided
	keyID     string
	proved    bool     // the client has authenticated
	grantType string   // one that is offered, and that the client may use
	rests     string   // jti of the grant that a new one is derived from; empty: of none, or of another issuer's token
	jti       string   // of the token to be revoked, once it is known to be one of ours
	done      outcome  // what has happened; counts only if nothing was refused
	refused   *refusal // nil: done
}

func newEvent(r *http.Request) event {
	return event{started: time.Now(), address: peerOf(r)}
}

func (e event) outcome() outcome {
	if e.refused != nil {
		return e.refused.outcome
	}
	return e.done
}

// endpoint is one of those that clients speak to.
type endpoint struct {
	answers metric.Int64Counter
	span    string
	refused string // what the log says when one was
	audited string // what the audit log calls its events
}

func newEndpoint(m metric.Meter, counter, about, span, refused, audited string) (endpoint, error) {
	answers, err := m.Int64Counter(counter, metric.WithDescription(about))
	return endpoint{answers, span, refused, audited}, err
}

// report tells the audit log, the log, the metrics and a sampled trace how the request ended, and returns what it is
// refused with: also what had to be written down and was not.
func (i *Issuer) report(ctx context.Context, at endpoint, span trace.Span, e event) *refusal {
	name := e.client
	if name == "" {
		name = "unknown"
	}
	e.refused = i.trail.tell(ctx, at, e, e.attributes(name))
	outcome := string(e.outcome())
	label := name
	if e.added { // there may be ten thousand of them, and a label has few values
		label = "added"
	}
	at.answers.Add(ctx, 1, metric.WithAttributes(attribute.String("client", label), attribute.String("outcome", outcome)))
	if span.IsRecording() {
		e.traceID = span.SpanContext().TraceID().String()
		span.SetAttributes(attribute.String("coatcheck.client", name), attribute.String("coatcheck.outcome", outcome))
	}
	status, _ := e.outcome().answer()
	level, message := slog.LevelInfo, e.message()
	switch {
	case status >= http.StatusInternalServerError:
		level, message = slog.LevelError, at.refused
	case e.refused != nil:
		level, message = slog.LevelWarn, at.refused
	}
	if i.logger.Enabled(ctx, level) {
		i.logger.LogAttrs(ctx, level, message, e.attributes(name)...)
	}
	return e.refused
}

// message says what was done.
func (e event) message() string {
	switch e.done {
	case issued:
		return "token issued"
	case repeated:
		return "answer repeated"
	case revoked:
		return "token revoked"
	case tokenActive, tokenInactive:
		return "token introspected"
	}
	return "nothing to revoke"
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
	if e.grantType != "" {
		attrs = append(attrs, slog.String("grant_type", e.grantType))
	}
	if e.jti != "" {
		attrs = append(attrs, slog.String("jti", e.jti))
	}
	if e.rests != "" {
		attrs = append(attrs, slog.String("subject_jti", e.rests))
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
