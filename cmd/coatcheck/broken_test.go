package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestCheckNamesPlaceAndMend: ten ways to break a configuration. Each is one line with file, line and column, says
// what to do, and ends in exit code 78.
func TestCheckNamesPlaceAndMend(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{})
	for name, c := range map[string]struct {
		old, broken string   // in the lab's configuration
		want        []string // in the message: what, and the mend
	}{
		"an unknown key":                  {"timeout: 10s}\n  billing", "timeuot: 10s}\n  billing", []string{"timeuot", "did you mean", "timeout"}},
		"a duplicate key":                 {"store:\n", "version: 1\nstore:\n", []string{"version"}},
		"a wrong type":                    {"ttl: 10m", "ttl: soon", []string{"ttl", "soon"}},
		"a route without audience":        {`audience: billing-api, scopes: ["invoices:read"]}`, `scopes: ["invoices:read"]}`, []string{"audience", "public: true"}},
		"a route to an unknown upstream":  {"upstream: billing", "upstream: biling", []string{"biling", "did you mean", "billing"}},
		"a route to an unknown audience":  {"audience: billing-api,", "audience: billing-ap,", []string{"billing-ap", "did you mean", "billing-api"}},
		"a scope of another audience":     {`scopes: ["invoices:read"]}` + "\n  - {name: docs", `scopes: ["orders:read"]}` + "\n  - {name: docs", []string{"orders:read", "billing-api"}},
		"routes that overlap":             {`match: "GET /invoices/{rest...}"`, `match: "GET /orders/{id...}"`, []string{"orders-read", "invoices"}},
		"plain HTTP beyond this machine":  {"issuer: http://127.0.0.1", "issuer: http://auth.example.com", []string{"https", "insecure_plaintext"}},
		"a secret in the file itself":     {"secret_file: client_secret", "secret: hunter2-hunter2-hunter2", []string{"secret_file"}},
		"a secret file that is not there": {"secret_file: client_secret", "secret_file: no_such_file", []string{"no_such_file"}},
		"a feature that is not there yet": {"ttl: 10m", "ttl: 10m, refresh_ttl: 30d", []string{"refresh_ttl"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := *lab
			broken := mustReplace(t, read(t, lab.Config), c.old, c.broken)
			file := lab.Write(strings.ReplaceAll(name, " ", "_")+".yaml", broken)
			p := processtest.Start(t, nil, "check", "-c", file)
			if code := p.Wait(); code != exitConfig {
				t.Errorf("check ended with %d, want 78\n%s%s", code, p.Stdout, p.Stderr)
			}
			place := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(file) + `:[1-9]\d*:[1-9]\d*: \S.*$`)
			if !place.MatchString(p.Stderr.String()) {
				t.Errorf("no line of the form file:line:column: what in\n%s", p.Stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(p.Stderr.String(), want) {
					t.Errorf("the message does not say %q:\n%s", want, p.Stderr)
				}
			}
			if strings.Contains(p.Stderr.String(), "hunter2") {
				t.Errorf("the message shows a secret:\n%s", p.Stderr)
			}
		})
	}
}

// TestCheckFindsEveryFaultInOneRun, as text and as JSON.
func TestCheckFindsEveryFaultInOneRun(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{Replace: []string{"upstream: billing", "upstream: biling", "ttl: 10m", "ttl: soon"}})
	p := processtest.Start(t, nil, "check", "-c", lab.Config)
	if code := p.Wait(); code != exitConfig || strings.Count(strings.TrimSpace(p.Stderr.String()), "\n") != 1 {
		t.Errorf("check ended with %d, want 78 and two lines:\n%s", code, p.Stderr)
	}
	if want := `warning: no route leads to upstream "billing"`; !strings.Contains(p.Stdout.String(), want) {
		t.Errorf("check of a file with faults does not say %q beside them: %s", want, p.Stdout)
	}
	p = processtest.Start(t, nil, "check", "-c", lab.Config, "-o", "json")
	code := p.Wait()
	var got verdict
	if err := json.Unmarshal([]byte(p.Stdout.String()), &got); err != nil {
		t.Fatalf("check -o json printed %q: %v", p.Stdout, err)
	}
	if code != exitConfig || got.OK || len(got.Faults) != 2 || got.Faults[0].Line == 0 || len(got.Warnings) == 0 {
		t.Errorf("check -o json ended with %d: %+v, want 78, two faults with their places, and a warning", code, got)
	}
}

// TestCheckOfAGoodFile, for each role with the secrets that it has.
func TestCheckOfAGoodFile(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{})
	for _, role := range []string{"all", "gateway", "issuer"} {
		p := processtest.Start(t, nil, "check", "-c", lab.Config, "--role", role)
		if code := p.Wait(); code != exitOK || !strings.Contains(p.Stdout.String(), "ok for role "+role) {
			t.Errorf("check --role %s ended with %d: %s%s", role, code, p.Stdout, p.Stderr)
		}
	}
}
