package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// auditKeeper keeps events, or cannot.
type auditKeeper struct {
	mu     sync.Mutex // guards all
	events []map[string]string
	err    error
}

func (k *auditKeeper) Note(event string, attrs ...slog.Attr) {
	_ = k.Write(context.Background(), event, attrs...)
}

func (k *auditKeeper) Write(_ context.Context, event string, attrs ...slog.Attr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	e := map[string]string{"event": event}
	for _, a := range attrs {
		e[a.Key] = a.Value.String()
	}
	k.events = append(k.events, e)
	return nil
}

func (k *auditKeeper) Ready() error { return nil } // it finds out when it writes

func (k *auditKeeper) fail(err error) { k.mu.Lock(); k.err = err; k.mu.Unlock() }

// told are the events, each as the values of some attributes.
func (k *auditKeeper) told(names ...string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, e := range k.events {
		var words []string
		for _, n := range append([]string{"event"}, names...) {
			if e[n] != "" {
				words = append(words, e[n])
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func TestEveryEndIsAudited(t *testing.T) {
	t.Parallel()
	kept := &auditKeeper{}
	k := newKit(t, func(c *Config) { c.Auditor = kept })
	a := k.token(t, shop())
	k.post(t, shop("scope", "nope"), nil)
	k.post(t, shop("client_secret", "wrong-secret-0123456789"), nil)
	k.postRevoke(t, revocationOf(a.AccessToken), nil)
	k.postRevoke(t, revocationOf("x"), nil)
	k.postRevoke(t, revocationOf("x", "client_id", "nobody"), nil)
	want := []string{
		"issue shop issued client_credentials", "issue_refused shop invalid_scope client_credentials", "issue_refused shop invalid_client",
		"revoke shop revoked", "revoke shop nothing_to_revoke", "revoke_refused unknown invalid_client",
	}
	if diff := cmp.Diff(want, kept.told("client", "outcome", "grant_type")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, e := range kept.events {
		for name, value := range e {
			if strings.Contains(value, a.AccessToken) || strings.Contains(value, shopSecret) || strings.Contains(value, "eyJ") {
				t.Errorf("%s of %s has a secret: %s", name, e["event"], value)
			}
		}
	}
	if issued, revoked := kept.events[0]["jti"], kept.events[3]["jti"]; issued == "" || issued != revoked {
		t.Errorf("issued %q, revoked %q: want one jti", issued, revoked)
	}
}

// What cannot be written down holds up nothing, unless it is required.
func TestAuditThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{false, true} {
		kept := &auditKeeper{}
		k := newKit(t, func(c *Config) { c.Auditor, c.AuditRequired = kept, required })
		a := k.token(t, shop())
		kept.fail(errors.New("no space left on device"))
		want := http.StatusOK
		if required {
			want = http.StatusServiceUnavailable
		}
		w := k.post(t, shop(), nil)
		if w.Code != want || strings.Contains(w.Body.String(), "access_token") == required {
			t.Errorf("required %v: issued with %d %s, want %d", required, w.Code, w.Body, want)
		}
		w = k.postRevoke(t, revocationOf(a.AccessToken), nil)
		if w.Code != want || required && w.Header().Get("Retry-After") == "" {
			t.Errorf("required %v: revoked with %d %s, want %d", required, w.Code, w.Body, want)
		}
		k.ended.mu.Lock()
		calls := k.ended.calls
		k.ended.mu.Unlock()
		if len(calls) != 1 || !strings.HasPrefix(calls[0], "revoke") {
			t.Errorf("required %v: %q, want a revocation: it is made whatever becomes of its record", required, calls)
		}
		if required && !strings.Contains(k.log.String(), "no space left on device") {
			t.Errorf("the log does not say why: %s", k.log)
		}
	}
}

// A flood of strangers takes a bounded place, and is counted.
func TestStrangersAreAuditedToAMeasure(t *testing.T) {
	t.Parallel()
	kept := &auditKeeper{}
	tr := &trail{Auditor: kept, required: true}
	at := endpoint{audited: auditIssue}
	for range 10_000 {
		if no := tr.tell(t.Context(), at, event{refused: refuse(invalidClient, "no")}, nil); no == nil {
			t.Fatal("a refusal was lost")
		}
	}
	if got := len(kept.told()); got < strangersBurst || got > 5*strangersBurst {
		t.Errorf("%d events for 10,000 strangers, want about %d", got, strangersBurst)
	}
	tr.mu.Lock()
	untold := tr.untold
	tr.full = time.Now()
	tr.mu.Unlock()
	before := len(kept.told())
	_ = tr.tell(t.Context(), at, event{proved: true, refused: refuse(invalidScope, "no")}, nil)
	_ = tr.tell(t.Context(), at, event{refused: refuse(invalidClient, "no")}, nil)
	if got := kept.told("untold")[before+1]; got != "issue_refused "+slog.IntValue(untold).String() {
		t.Errorf("the next one says %q, want that %d were not told of", got, untold)
	}
}
