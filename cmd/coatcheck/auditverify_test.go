package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// auditedLab makes a lab whose issuer keeps an audit log.
func auditedLab(t *testing.T, settings string) *processtest.Lab {
	t.Helper()
	return processtest.New(t, processtest.Options{Lease: "50ms", Replace: []string{"admin:\n", "audit: {file: audit.log" + settings + "}\nadmin:\n"}})
}

// verifyAudit runs `coatcheck audit verify`.
func verifyAudit(t *testing.T, args ...string) (r audit.Report, code int) {
	t.Helper()
	p := processtest.Start(t, nil, append([]string{"audit", "verify", "-o", "json"}, args...)...)
	code = p.Wait()
	if err := json.Unmarshal([]byte(p.Stdout.String()), &r); err != nil && code <= exitNo {
		t.Fatalf("audit verify %q: %v: %s%s", args, err, p.Stdout, p.Stderr)
	}
	return r, code
}

var anchorLine = regexp.MustCompile(`"msg":"audit anchor".*"head":"([^"]+)"`)

// lastAnchor is what the ordinary log said last.
func lastAnchor(t *testing.T, p *processtest.Process) string {
	t.Helper()
	found := anchorLine.FindAllStringSubmatch(p.Stderr.String(), -1)
	if len(found) == 0 {
		t.Fatalf("the log has no anchor: %s", p.Stderr)
	}
	return found[len(found)-1][1]
}

// TestAuditLogOfAnIssuer: what happens is in it, nothing secret is, a crash does not break it, and a change shows.
func TestAuditLogOfAnIssuer(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := auditedLab(t, "")
	issuer, _ := lab.Up(client)
	path := filepath.Join(lab.Dir, "audit.log")
	reference := lab.Token(client)
	jti := jtiOf(t, client, lab, reference)
	if a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jti, "reason": "for the books"}); a.Status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.Status, a.Body)
	}
	client.Do("POST", "http://"+issuer.Address("admin")+"/v1/revocations", http.Header{"Authorization": {"Bearer wrong"}}, "{}")
	processtest.Eventually(t, "all of it is on the disk", func() bool { return strings.Contains(readFileOf(t, path), "admin_denied") })
	issuer.Kill()
	issuer = lab.StartIssuer()
	client.Ready(issuer.Address("metrics"))
	second := lab.Token(client)
	issuer.Terminate()
	anchor := lastAnchor(t, issuer)

	r, code := verifyAudit(t, "-c", lab.Config, "--anchor", anchor, path)
	if code != exitOK || !r.OK || r.Macs != "checked" || r.Lost != 0 {
		t.Fatalf("verify: exit %d, %+v", code, r)
	}
	text := readFileOf(t, path)
	for _, event := range []string{"opened", "issue", "admin_asked", "operator_revoke", "admin_answered", "admin_denied"} {
		if !strings.Contains(text, `"event":"`+event+`"`) {
			t.Errorf("there is no event %s in %s", event, text)
		}
	}
	for what, secret := range map[string]string{
		"reference": reference, "another reference": second, "secret": lab.Secret, "operator's token": lab.AdminToken, "a JWT": "eyJ",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the audit log", what)
		}
	}

	// Whoever verifies elsewhere has the key alone.
	printed := processtest.Start(t, nil, "audit", "key", "-c", lab.Config)
	if code := printed.Wait(); code != exitOK {
		t.Fatalf("audit key: exit %d %s", code, printed.Stderr)
	}
	keyFile := lab.Write("audit.key", printed.Stdout.String())
	changed := filepath.Join(t.TempDir(), "changed.log")
	for name, row := range map[string]struct {
		text string
		args []string
		code int
	}{
		"as it is":                       {text, []string{"--key-file", keyFile}, exitOK},
		"as it is, without a key":        {text, nil, exitOK},
		"another jti":                    {strings.Replace(text, jti, strings.Repeat("0", 32), 1), nil, exitNo},
		"without its last line":          {text[:strings.LastIndex(text[:len(text)-1], "\n")+1], []string{"--anchor", anchor}, exitNo},
		"no such file":                   {"", []string{"/nowhere/audit.log"}, exitUsage},
		"an anchor that is none":         {text, []string{"--anchor", "7"}, exitUsage},
		"a key file that holds no key":   {text, []string{"--key-file", lab.Config}, exitUsage},
		"another issuer's configuration": {text, []string{"-c", lab.Write("other.yaml", strings.ReplaceAll(readFileOf(t, lab.Config), "issuer-1", "issuer-2"))}, exitNo},
	} {
		if err := os.WriteFile(changed, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, code := verifyAudit(t, append(row.args, changed)...)
		if code != row.code {
			t.Errorf("%s: exit %d, want %d: %+v", name, code, row.code, r)
		}
		if code == exitNo && (r.Broken == nil || r.Broken.What == "") {
			t.Errorf("%s: the report does not say what is broken: %+v", name, r)
		}
	}
}

// TestAuditOnAFullDisk: changes by operators are refused before they are made. Tokens are issued all the same, and counted
// as lost, or not at all when the log is required. Swaps go on.
func TestAuditOnAFullDisk(t *testing.T) {
	t.Parallel()
	for settings, required := range map[string]bool{"": false, ", required: true": true} {
		client := processtest.NewClient(t)
		lab := auditedLab(t, settings)
		issuer, edge := lab.StartIssuerAs(processtest.Instance{MaxFile: 16}), lab.StartEdge()
		client.Ready(issuer.Address("metrics"))
		client.Ready(edge.Address("metrics"))
		reference := lab.Token(client)
		jti := jtiOf(t, client, lab, reference)
		metrics := "http://" + issuer.Address("metrics")
		processtest.Eventually(t, "the disk is full", func() bool {
			tryToken(client, lab)
			return strings.Contains(client.Do("GET", metrics+"/metrics", nil, "").Body, "coatcheck_audit_failing 1")
		})
		want := http.StatusOK
		if required {
			want = http.StatusServiceUnavailable
		}
		if got := tryToken(client, lab); got != want {
			t.Errorf("required %v: a token on a full disk: %d, want %d", required, got, want)
		}
		if got := client.Do("GET", metrics+"/readyz", nil, "").Status; got != want {
			t.Errorf("required %v: /readyz on a full disk: %d, want %d", required, got, want)
		}
		a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jti})
		if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "audit_unavailable") {
			t.Errorf("required %v: a revocation by an operator on a full disk: %d %s, want 503", required, a.Status, a.Body)
		}
		if a := client.Call("GET", lab.Edge()+"/orders/17", reference); a.Status != http.StatusOK {
			t.Errorf("required %v: a swap meanwhile: %d %s, want 200", required, a.Status, a.Body)
		}
		issuer.Kill() // the operator makes room
		issuer = lab.StartIssuer()
		client.Ready(issuer.Address("metrics"))
		if a := lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"jti": jti}); a.Status != http.StatusOK {
			t.Errorf("required %v: the revocation when there is room: %d %s", required, a.Status, a.Body)
		}
		issuer.Terminate()
		if r, code := verifyAudit(t, "-c", lab.Config, filepath.Join(lab.Dir, "audit.log")); code != exitOK {
			t.Errorf("required %v: verify: exit %d, %+v", required, code, r)
		}
	}
}

// tryToken asks for a token and gives the status.
func tryToken(client *processtest.Client, lab *processtest.Lab) int {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return client.Do("POST", lab.Issuer()+"/oauth2/token", header,
		"grant_type=client_credentials&client_id="+lab.Client+"&client_secret="+lab.Secret).Status
}

func readFileOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
