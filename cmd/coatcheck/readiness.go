package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
)

// readiness says whether this process should get traffic, and if not, why. Upstreams never count: an edge with a
// dead upstream still serves the others.
type readiness struct {
	probes   []probe          // fixed before the first request
	notes    []func() unready // what is not well and takes no traffic away; fixed as well
	audit    func() string    // how the audit log ends, for whoever keeps anchors of it; nil: there is none. Fixed as well
	draining atomic.Bool
}

// probe is one thing that must be well. Ready answers at once, from memory: whoever polls /readyz costs no
// dependency anything.
type probe struct {
	name  string
	ready func() error
}

// unready is one reason.
type unready struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Reasons lists what is not well; none: ready.
func (r *readiness) Reasons() []unready {
	var out []unready
	if r.draining.Load() {
		out = append(out, unready{"process", "is draining: it was told to stop"})
	}
	for _, p := range r.probes {
		if err := p.ready(); err != nil {
			// What is wrong often names its room itself, sometimes in each layer.
			out = append(out, unready{p.name, strings.ReplaceAll(err.Error(), p.name+": ", "")})
		}
	}
	return out
}

// Notes lists what is not well, and no reason to send traffic elsewhere.
func (r *readiness) Notes() (out []unready) {
	for _, note := range r.notes {
		if n := note(); n.Name != "" {
			out = append(out, n)
		}
	}
	return out
}

// err is all reasons as one error.
func (r *readiness) err() error {
	var errs []error
	for _, u := range r.Reasons() {
		errs = append(errs, errors.New(u.Name+": "+u.Why))
	}
	return errors.Join(errs...)
}

// ServeHTTP is /readyz: 200, or 503 with every reason; JSON for whoever accepts it, lines for people.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	reasons := r.Reasons()
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	body, kind := readyText(reasons, r.Notes()), "text/plain; charset=utf-8"
	if strings.Contains(req.Header.Get("Accept"), "application/json") {
		body, kind = r.json(reasons), "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}

func readyText(reasons, notes []unready) []byte {
	lines := []string{"ready"}
	if len(reasons) > 0 {
		lines[0] = "not ready"
	}
	for _, u := range reasons {
		lines = append(lines, u.Name+": "+u.Why)
	}
	for _, n := range notes {
		lines = append(lines, "note: "+n.Name+": "+n.Why)
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (r *readiness) json(reasons []unready) []byte {
	head := ""
	if r.audit != nil {
		head = r.audit()
	}
	body, err := json.Marshal(struct {
		Ready   bool      `json:"ready"`
		Reasons []unready `json:"reasons"`
		Notes   []unready `json:"notes,omitempty"`
		Audit   string    `json:"audit_head,omitempty"`
	}{len(reasons) == 0, append([]unready{}, reasons...), r.Notes(), head})
	if err != nil {
		panic("coatcheck: internal error: readiness does not marshal: " + err.Error())
	}
	return append(body, '\n')
}
