package main

import (
	"context"
	"log/slog"
)

// auditing sends the lines that say who ended what past the others: of the sink's buffer they may use what the others may
// not, so that nobody pushes them out by having us log much.
type auditing struct{ ordinary, audit slog.Handler }

// audited: who ended what, or tried to with a token or secret of ours. Who has none brings none of these about.
func audited(r slog.Record) bool {
	switch r.Message {
	case "revoked", "token revoked", "revoked by an operator", "revocation asked for by an operator failed":
		return true
	case "admin call":
		return named(r, "caller")
	}
	return false
}

// named: the record has an attribute of this name that is not empty.
func named(r slog.Record, key string) (is bool) {
	r.Attrs(func(a slog.Attr) bool {
		is = a.Key == key && a.Value.String() != ""
		return !is
	})
	return is
}

// Enabled asks one of the two, which have one level.
func (h auditing) Enabled(ctx context.Context, l slog.Level) bool { return h.ordinary.Enabled(ctx, l) }

// Handle chooses.
func (h auditing) Handle(ctx context.Context, r slog.Record) error {
	if audited(r) {
		return h.audit.Handle(ctx, r)
	}
	return h.ordinary.Handle(ctx, r)
}

// WithAttrs is of both.
func (h auditing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return auditing{h.ordinary.WithAttrs(attrs), h.audit.WithAttrs(attrs)}
}

// WithGroup is of both.
func (h auditing) WithGroup(name string) slog.Handler {
	return auditing{h.ordinary.WithGroup(name), h.audit.WithGroup(name)}
}

// auditLines writes to the sink what may use all of its buffer.
type auditLines struct{ sink *logSink }

func (a auditLines) Write(line []byte) (int, error) { return a.sink.add(line, logBuffer) }
