package admin

import (
	"context"
	"log/slog"
	"net/http"
)

// Auditor keeps what operators did, and were denied, where it cannot be changed unseen. It is an interface because not
// every installation has one, and because a test must show one that cannot write. Safe for concurrent use.
type Auditor interface {
	// Note hands over an event; it does not wait, and what is lost is counted elsewhere.
	Note(event string, attrs ...slog.Attr)
	// Write returns nil when the event is durable, and an error within seconds.
	Write(ctx context.Context, event string, attrs ...slog.Attr) error
}

// noAuditor is for who has none: the ordinary log has its lines all the same.
type noAuditor struct{}

func (noAuditor) Note(string, ...slog.Attr)                         {}
func (noAuditor) Write(context.Context, string, ...slog.Attr) error { return nil }

// writtenDown writes a change down before it is made. One that cannot be written down is refused, and not made.
func (c *call) writtenDown(r *http.Request) bool {
	if reads(r.Method) {
		return true
	}
	if err := c.auditor.Write(r.Context(), "admin_asked", c.attributes()...); err != nil {
		c.trouble = err
		c.refuse(notWrittenDown)
		return false
	}
	return true
}

// auditAnswer notes how a change ended, and every denial.
func (c *call) auditAnswer(attrs []slog.Attr) {
	switch {
	case c.status == http.StatusUnauthorized, c.status == http.StatusForbidden, c.status == http.StatusTooManyRequests:
		c.auditor.Note("admin_denied", attrs...)
	case !reads(c.method):
		c.auditor.Note("admin_answered", attrs...)
	}
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }
