package main

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
	"go.yaml.in/yaml/v4"
)

// TestAlertsAreAboutMetricsThatExist: an alert on a misspelt metric never fires, and nobody notices. Each rule also says
// what it means, and docs/revocation.md what to do.
func TestAlertsAreAboutMetricsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deployments/prometheus/revocation.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../../docs/revocation.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	there := metricsInUse(t)
	name := regexp.MustCompile(`coatcheck_[a-z_]+`)
	rules := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: needs a severity, a summary and a description", r.Alert)
			}
			if !strings.Contains(string(runbook), "| "+r.Alert+" |") {
				t.Errorf("%s: docs/revocation.md does not say what to do", r.Alert)
			}
			names := name.FindAllString(r.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: %q is about nothing of ours", r.Alert, r.Expr)
			}
			for _, n := range names {
				if !there[n] {
					t.Errorf("%s: there is no metric %s; there are %v", r.Alert, n, slices.Sorted(maps.Keys(there)))
				}
			}
		}
	}
	if rules < 5 {
		t.Errorf("%d rules, want at least the five of docs/revocation.md", rules)
	}
}

// metricsInUse runs an issuer and an edge, lets happen what the counters count, and collects the names of their metrics.
func metricsInUse(t *testing.T) map[string]bool {
	t.Helper()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	client.Call("GET", lab.Edge()+"/orders/17", lab.Token(client))
	if a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"client": lab.Client}); a.Status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.Status, a.Body)
	}
	lab.Redis.Do("FLUSHALL") // what the follower knew is worth nothing: it flushes
	there := map[string]bool{}
	processtest.Eventually(t, "the edge counts a flush", func() bool {
		for _, p := range []*processtest.Process{issuer, edge} {
			for line := range strings.Lines(client.Do("GET", "http://"+p.Address("metrics")+"/metrics", nil, "").Body) {
				if name, _, ok := strings.Cut(line, "{"); ok && !strings.HasPrefix(line, "#") {
					there[name] = true
				} else if name, _, ok := strings.Cut(line, " "); ok {
					there[name] = true
				}
			}
		}
		return there["coatcheck_log_flushes_total"]
	})
	return there
}
