package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keeper keeps events, or cannot.
type keeper struct {
	events []string
	err    error
}

func (k *keeper) Note(event string, attrs ...slog.Attr) {
	_ = k.Write(context.Background(), event, attrs...)
}

func (k *keeper) Write(_ context.Context, event string, attrs ...slog.Attr) error {
	if k.err != nil {
		return k.err
	}
	for _, a := range attrs {
		if slices.Contains([]string{"caller", "method", "path", "status"}, a.Key) && a.Value.String() != "" {
			event += " " + a.Value.String()
		}
	}
	k.events = append(k.events, event)
	return nil
}

func TestChangesAreWrittenDownFirst(t *testing.T) {
	t.Parallel()
	kept := &keeper{}
	changed := 0
	h, err := New(Config{
		Auditor: kept,
		Tokens:  []Token{token(t, "reader", readerSecret, ReadTokens), token(t, "revoker", revokerSecret, RevokeTokens)},
		Routes: []Route{
			{"GET", "/v1/tokens", ReadTokens, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
			{"POST", "/v1/revocations", RevokeTokens, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if want := "admin_asked revoker POST /v1/revocations"; kept.events[len(kept.events)-1] != want {
					t.Errorf("before the change: %q, want %q", kept.events, want)
				}
				changed++
			})},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path, secret string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://admin"+path, strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	call("GET", "/v1/tokens", readerSecret) // reads are in the ordinary log alone
	call("POST", "/v1/revocations", revokerSecret)
	call("POST", "/v1/revocations", readerSecret)
	call("POST", "/v1/revocations", "wrong")
	want := []string{
		"admin_asked revoker POST /v1/revocations", "admin_answered revoker POST /v1/revocations 0",
		"admin_denied reader POST /v1/revocations 403", "admin_denied POST 401",
	}
	if diff := cmp.Diff(want, kept.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	kept.err = errors.New("no space left on device")
	wantProblem(t, "a change that cannot be written down", call("POST", "/v1/revocations", revokerSecret), 503, "audit_unavailable")
	if changed != 1 {
		t.Errorf("%d changes were made, want 1: the other could not be written down", changed)
	}
	if w := call("GET", "/v1/tokens", readerSecret); w.Code != 200 {
		t.Errorf("a read while nothing can be written: %d, want 200", w.Code)
	}
}
