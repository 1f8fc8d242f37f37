package main

import (
	"errors"
	"net/http/httptest"
	"testing"
)

// TestReadyz says everything that is missing, to people and to programs.
func TestReadyz(t *testing.T) {
	t.Parallel()
	well := func() error { return nil }
	away := func() error { return errors.New("connection refused") }
	named := func() error { return errors.New("store: check: store: connection refused") }
	for _, c := range []struct {
		name     string
		probes   []probe
		draining bool
		accept   string
		status   int
		body     string
	}{
		{"all well", []probe{{"store", well}}, false, "", 200, "ready\n"},
		{"all well, for a program", []probe{{"store", well}}, false, "application/json", 200, `{"ready":true,"reasons":[]}` + "\n"},
		{"one away", []probe{{"store", away}, {"keys", well}}, false, "text/html", 503, "not ready\nstore: connection refused\n"},
		{"one away, for a program", []probe{{"store", away}}, false, "application/json", 503, `{"ready":false,"reasons":[{"name":"store","why":"connection refused"}]}` + "\n"},
		{"one that says its own name", []probe{{"store", named}}, false, "", 503, "not ready\nstore: check: connection refused\n"},
		{"draining", []probe{{"store", well}}, true, "", 503, "not ready\nprocess: is draining: it was told to stop\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &readiness{probes: c.probes}
			r.draining.Store(c.draining)
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil)
			req.Header.Set("Accept", c.accept)
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, req)
			if rec.Code != c.status || rec.Body.String() != c.body {
				t.Errorf("/readyz = %d %q, want %d %q", rec.Code, rec.Body, c.status, c.body)
			}
		})
	}
}
