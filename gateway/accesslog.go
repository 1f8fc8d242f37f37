package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// logAccess writes the one line of a request. The route's name stands for the path, which may carry data of the
// client's; the query, headers and bodies are never logged. Writing without waiting for the disk is the handler's job.
func (v *visit) logAccess(o outcome, took time.Duration) {
	level := slog.LevelInfo
	if o.decision == decisionError {
		level = slog.LevelWarn
	}
	ctx := context.Background() // the request's own may be over
	if !v.edge.log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 20),
		slog.String("route", o.route),
		slog.String("method", v.method),
		slog.Int("status", v.status()),
		slog.String("decision", o.decision),
		slog.String("reason", o.reason),
		slog.String("cache", o.cache),
		slog.String("request_id", v.id),
		slog.Float64("duration_ms", float64(took.Microseconds())/1e3),
		slog.Int64("bytes", v.answer.bytes),
	)
	if v.caller.addr.IsValid() {
		attrs = append(attrs, slog.String("address", v.caller.addr.String()))
	}
	if v.route != nil {
		attrs = append(attrs, slog.String("upstream", v.route.Upstream))
	}
	if v.swapTook > 0 {
		attrs = append(attrs, slog.Float64("swap_us", float64(v.swapTook.Nanoseconds())/1e3))
	}
	if v.grant != nil {
		attrs = append(attrs, slog.String("jti", v.grant.JTI()), slog.String("client", v.grant.ClientID()))
	}
	if v.edge.development && v.gate.open.Load() {
		attrs = append(attrs, slog.Int64("decided_ns", v.gate.moment.Load()))
	}
	if v.span != nil {
		attrs = append(attrs, slog.String("trace_id", v.span.SpanContext().TraceID().String()))
	}
	if v.refused != nil && v.refused.err != nil {
		attrs = append(attrs, slog.String("error", v.refused.err.Error()))
	}
	v.edge.log.LogAttrs(ctx, level, "request", attrs...)
}

// status is what the client got, or would have.
func (v *visit) status() int {
	if v.answer.status == 0 && v.refused != nil {
		return v.refused.code.problem().status
	}
	return v.answer.status
}

// logPanic is for a bug, ours or a handler's. The value may quote what the code was looking at, which is never a
// reference or a JWT in text: those have types that do not print.
func (v *visit) logPanic(p any) {
	v.edge.log.LogAttrs(context.Background(), slog.LevelError, "panic while serving a request",
		slog.String("panic", fmt.Sprint(p)), slog.String("request_id", v.id), slog.String("stack", string(debug.Stack())))
}

// loggable is a request's method if it is one that the world knows: a client can write anything there.
func loggable(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "CONNECT":
		return method
	}
	return "OTHER"
}
