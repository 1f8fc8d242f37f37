package issuer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Auditor keeps what has happened where it cannot be changed unseen; audit.Log is one. It is an interface because not
// every installation has one, and because a test must show one that cannot write. Safe for concurrent use.
type Auditor interface {
	// Note hands over an event; it does not wait, and what is lost is counted elsewhere.
	Note(event string, attrs ...slog.Attr)
	// Write returns nil when the event is durable, and an error within seconds.
	Write(ctx context.Context, event string, attrs ...slog.Attr) error
	// Ready says why events cannot be written now; nil: they can. It answers from memory.
	Ready() error
}

// noAuditor is for who has none: the ordinary log has its lines all the same.
type noAuditor struct{}

func (noAuditor) Note(string, ...slog.Attr)                         {}
func (noAuditor) Write(context.Context, string, ...slog.Attr) error { return nil }
func (noAuditor) Ready() error                                      { return nil }

// Refusals of those who proved nothing are noted up to a measure, so that a flood of them fills neither disk nor queue. It
// is told with the next one how many had none.
const (
	strangersEvery = 50 * time.Millisecond
	strangersBurst = 200
)

// trail is what the issuer tells its auditor.
type trail struct {
	Auditor
	required bool // no token goes out, and no revocation is acknowledged, that is not written down

	mu     sync.Mutex // guards what follows
	full   time.Time  // when strangers have their whole burst again (GCRA)
	untold int
}

// ready refuses early what could not be written down later: a token that is stored and never handed out takes a place.
func (t *trail) ready() *refusal {
	if !t.required {
		return nil
	}
	if err := t.Ready(); err != nil {
		return unavailableNow(notAudited, err)
	}
	return nil
}

const notAudited = "the audit log cannot be written"

// tell tells of one request, and returns what becomes of it: its own refusal, or the one that it could not be written
// down. A revocation is in force then; it may be asked for again.
func (t *trail) tell(ctx context.Context, at endpoint, e event, attrs []slog.Attr) *refusal {
	name := e.audited(at)
	switch {
	case name == "":
		return e.refused
	case e.refused == nil && t.required:
		if err := t.Write(ctx, name, attrs...); err != nil {
			return unavailableNow(notAudited, err)
		}
		return nil
	case e.refused != nil && !e.proved:
		untold, within := t.stranger(time.Now())
		if !within {
			return e.refused
		}
		if untold > 0 {
			attrs = append(attrs, slog.Int("untold", untold))
		}
	}
	t.Note(name, attrs...)
	return e.refused
}

// stranger measures a refusal of somebody who proved nothing, and says how many before it were not told of.
func (t *trail) stranger(now time.Time) (untold int, within bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full.Before(now) {
		t.full = now
	}
	if t.full.Sub(now) > (strangersBurst-1)*strangersEvery {
		t.untold++
		return 0, false
	}
	t.full = t.full.Add(strangersEvery)
	untold, t.untold = t.untold, 0
	return untold, true
}

// audited is what the audit log calls an event of this endpoint; empty: it is not told.
func (e event) audited(at endpoint) string {
	switch {
	case e.refused != nil:
		return at.audited + "_refused"
	case at.audited == auditIntrospect:
		return "" // a service asks for each request that it gets
	case e.done == issued, e.done == repeated:
		switch e.grantType {
		case "urn:ietf:params:oauth:grant-type:token-exchange":
			return "exchange"
		case "refresh_token":
			return "refresh"
		}
	}
	return at.audited
}

// Endpoints, as events of the audit log are called after them.
const (
	auditIssue      = "issue"
	auditRevoke     = "revoke"
	auditIntrospect = "introspect"
)
