package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// operate runs `coatcheck token` with the lab's operator.
func operate(t *testing.T, lab *processtest.Lab, issuer *processtest.Process, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	args = append(append([]string{"token"}, args...), "--admin", "http://"+issuer.Address("admin"), "--admin-token-file", filepath.Join(lab.Dir, "admin_token"))
	p := processtest.Start(t, nil, args...)
	code = p.Wait()
	return p.Stdout.String(), p.Stderr.String(), code
}

// TestTokenRevokeEndsOnEveryEdge: when the command has returned, no edge lets it through, by whatever name it was given.
// What is alive beside it stays alive.
func TestTokenRevokeEndsOnEveryEdge(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	other := "other-client"
	lab := processtest.New(t, processtest.Options{Lease: "100ms", Replace: []string{
		"telemetry:\n", "  " + other + ":\n    secret_file: client_secret\n    grant_types: [client_credentials]\n    audiences: {orders-api: [\"orders:read\"]}\ntelemetry:\n",
	}})
	issuer, edge := lab.Up(client)
	second := processtest.Instance{Addr: processtest.FreeAddress(t)}
	client.Ready(lab.StartEdgeAs(second).Address("metrics"))
	edges := []string{lab.Edge(), "http://" + second.Addr}
	bystander := client.Token(lab.Issuer(), other, lab.Secret)

	for name, flags := range map[string]func(reference string) []string{
		"jti":            func(r string) []string { return []string{"--jti", jtiOf(t, client, lab, r)} },
		"reference file": func(r string) []string { return []string{"--reference-file", lab.Write("leaked", r+"\n")} },
		"family":         func(r string) []string { return []string{"--family", jtiOf(t, client, lab, r)} },
		"client":         func(string) []string { return []string{"--client", lab.Client} },
		"subject":        func(string) []string { return []string{"--subject", "client:" + lab.Client} },
		"subject handle": func(r string) []string {
			jtiOf(t, client, lab, r)
			handles := lab.Orders.Last(t).Claims(t)["handles"].(map[string]any)
			return []string{"--subject-handle", handles["subject"].(string)}
		},
	} {
		reference := lab.Token(client)
		args := append([]string{"revoke", "-o", "json", "--reason", "a test of " + name}, flags(reference)...)
		for _, e := range edges { // it is in both caches
			if a := client.Call("GET", e+"/orders/1", reference); a.Status != http.StatusOK {
				t.Fatalf("%s: before: %d %s", name, a.Status, a.Body)
			}
		}
		stdout, stderr, code := operate(t, lab, issuer, append(args, "--dry-run")...)
		var would, did revoked
		if err := json.Unmarshal([]byte(stdout), &would); err != nil || code != exitOK || !would.DryRun || would.Found < 1 {
			t.Fatalf("%s: --dry-run ended with %d, %v: %s%s", name, code, err, stdout, stderr)
		}
		for _, e := range edges {
			if a := client.Call("GET", e+"/orders/1", reference); a.Status != http.StatusOK {
				t.Fatalf("%s: after a dry run: %d %s, want 200", name, a.Status, a.Body)
			}
		}
		stdout, stderr, code = operate(t, lab, issuer, args...)
		for _, e := range edges {
			if a := client.Call("GET", e+"/orders/1", reference); a.Status != http.StatusUnauthorized {
				t.Errorf("%s: right after the command: %d %s, want 401", name, a.Status, a.Body)
			}
			if a := client.Call("GET", e+"/orders/1", bystander); a.Status != http.StatusOK {
				t.Errorf("%s: another client's token: %d %s, want 200", name, a.Status, a.Body)
			}
		}
		if err := json.Unmarshal([]byte(stdout), &did); err != nil || code != exitOK || did.Found < 1 || did.Number == 0 || len(did.Positions) == 0 || len(did.Edges) != 2 {
			t.Errorf("%s: revoke ended with %d, %v: %s%s; want what was found, where the log stands, and two edges", name, code, err, stdout, stderr)
		}
	}
	if code := edge.Terminate(); code != exitOK {
		t.Errorf("the edge ended with %d", code)
	}
}

// TestTokenRevokeOfATime ends what was issued before it, and nothing that comes after; and it is told in words.
func TestTokenRevokeOfATime(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Lease: "100ms"})
	issuer, _ := lab.Up(client)
	before := lab.Token(client)
	stdout, stderr, code := operate(t, lab, issuer, "revoke", "--issued-before", "now", "--reason", "rehearsal")
	for _, want := range []string{"revoked all that was issued before now", "from now on no edge lets it through", "1 grant", "shard 0 at ", "the promise does not rest on it"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the command does not say %q:\n%s%s", want, stdout, stderr)
		}
	}
	after := lab.Token(client)
	for reference, want := range map[string]int{before: http.StatusUnauthorized, after: http.StatusOK} {
		if a := client.Call("GET", lab.Edge()+"/orders/1", reference); a.Status != want {
			t.Errorf("after exit %d: %d %s, want %d", code, a.Status, a.Body, want)
		}
	}
	if stdout, _, code = operate(t, lab, issuer, "list"); code != exitOK || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, lab.Client) {
		t.Errorf("list ended with %d, want the one that is alive:\n%s", code, stdout)
	}
	jti := jtiOf(t, client, lab, after)
	if stdout, _, code = operate(t, lab, issuer, "inspect", jti); code != exitOK || !strings.Contains(stdout, "live") || !strings.Contains(stdout, jti) {
		t.Errorf("inspect ended with %d:\n%s", code, stdout)
	}
	if _, _, code = operate(t, lab, issuer, "revoke", "--jti", jti); code != exitOK {
		t.Errorf("revoke --jti ended with %d", code)
	}
	if stdout, _, code = operate(t, lab, issuer, "inspect", jti); code != exitNo || !strings.Contains(stdout, "revoked") {
		t.Errorf("inspect of a revoked one ended with %d, want 2:\n%s", code, stdout)
	}
}

// TestReferenceStaysHere: of a leaked reference only the jti goes to the admin API, with the token in the header alone.
func TestReferenceStaysHere(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	lab.Up(client)
	reference := lab.Token(client)
	var mu sync.Mutex
	var sent strings.Builder
	spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		sent.WriteString(r.URL.String() + " " + string(body) + "\n")
		if r.Header.Get("Authorization") != "Bearer "+lab.AdminToken {
			t.Errorf("%s came with Authorization %q", r.URL, r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, `{"kind":"token","found":1,"complete":true,"state":"live"}`)
	}))
	t.Cleanup(spy.Close)
	for _, command := range []string{"revoke", "inspect"} {
		cmd := exec.CommandContext(t.Context(), processtest.Binary(t), "token", command, "--reference-file", "-")
		cmd.Stdin = strings.NewReader(reference + "\n")
		cmd.Env = []string{adminVariable + "=" + spy.URL, adminTokenVariable + "=" + lab.AdminToken}
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), reference[10:]) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	jti := jtiOf(t, client, lab, reference)
	mu.Lock()
	defer mu.Unlock()
	if text := sent.String(); strings.Count(text, jti) != 2 || strings.Contains(text, reference[4:20]) {
		t.Errorf("what was sent is %q, want the jti %s and nothing of the reference", text, jti)
	}
}

// TestCredentialsAreRefusedOnTheCommandLine, wherever they stand, before anything is sent and without being repeated.
func TestCredentialsAreRefusedOnTheCommandLine(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	spy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(spy.Close)
	reference, jwt := "acme_"+strings.Repeat("a1B2c", 13), "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x"
	for _, credential := range []string{reference, jwt, " " + reference + "\n", "Bearer " + jwt} {
		for _, args := range [][]string{
			{"inspect", credential},
			{"inspect", "--reference-file", credential},
			{"list", "--client", credential},
			{"list", "--subject-handle=" + credential},
			{"list", "--limit", credential},
			{"list", credential},
			{"revoke", "--jti", credential},
			{"revoke", "--family", credential},
			{"revoke", "--client", "shop", "--reason", "seen: " + credential},
			{credential},
		} {
			p := processtest.Start(t, []string{adminVariable + "=" + spy.URL, adminTokenVariable + "=" + strings.Repeat("x", 40)}, append([]string{"token"}, args...)...)
			code, said := p.Wait(), p.Stderr.String()
			if code != exitUsage || !strings.Contains(said, "nothing was sent") || strings.Contains(said, "a1B2c") || strings.Contains(said, "c2lnbmF0") {
				t.Errorf("token %q ended with %d and says %q, want 64, the mend and no credential", args, code, said)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the admin API was asked %d times, want never", n)
	}
	for _, fine := range []string{"tenant_" + strings.Repeat("0a", 32), "9xJtAbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_A", "eyJhbGciOiJFUzI1NiJ9", "a.b.c"} {
		if err := refuseCredentials([]string{"token", "list", "--subject", fine}); err != nil {
			t.Errorf("--subject %s: %v, want it to pass", fine, err)
		}
	}
}

// TestAgoIsInWholeSeconds: what people read has no nanoseconds, and nothing that they meant is left out.
func TestAgoIsInWholeSeconds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 0, 0, 500, time.UTC)
	for ago, want := range map[time.Duration]string{
		15 * time.Minute: "2026-11-23T13:45:01Z", time.Second: "2026-11-23T14:00:00Z", 0: "2026-11-23T14:00:00.0000005Z", -time.Minute: "2026-11-23T14:01:00.0000005Z",
	} {
		if got := before(now, ago).Format(time.RFC3339Nano); got != want {
			t.Errorf("%v before %v is %s, want %s", ago, now, got, want)
		}
	}
}

// TestTokenFileIsOneLineOfItsOwner: what else it is, is said here and not by the issuer.
func TestTokenFileIsOneLineOfItsOwner(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("a1", 32)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		says    string // empty: it is taken
	}{
		"one line":              {secret + "\n", 0o600, ""},
		"a line of Windows":     {secret + "\r\n", 0o400, ""},
		"readable by its group": {secret, 0o440, ""},
		"two lines":             {secret + "\nexpires tomorrow\n", 0o600, "one line"},
		"an empty second line":  {secret + "\n\n", 0o600, "one line"},
		"a space before":        {" " + secret, 0o600, "one line"},
		"empty":                 {"\n", 0o600, "one line"},
		"readable by everybody": {secret, 0o644, "chmod 600"},
		"writable by its group": {secret, 0o660, "chmod 600"},
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := errors.Join(os.WriteFile(file, []byte(c.content), 0o600), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		token, err := adminToken(file)
		if c.says == "" && (err != nil || token != secret) {
			t.Errorf("%s: %q, %v, want the token", name, token, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: %v, want an error with %q and not the token", name, err, c.says)
		}
	}
}

// TestProxiesAreForElsewhere: what is on this machine is asked without one, whatever the variables say.
func TestProxiesAreForElsewhere(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Replace: []string{"admin: 127.0.0.1:0", "admin: ./p.sock"}})
	issuer := lab.StartIssuer()
	client.Ready(issuer.Address("metrics"))
	nowhere := "http://" + processtest.FreeAddress(t)
	p := processtest.Start(t, []string{adminVariable + "=" + issuer.Address("admin"), adminTokenVariable + "=" + lab.AdminToken, "HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere}, "token", "list")
	if code := p.Wait(); code != exitNo {
		t.Errorf("list over a socket with HTTP_PROXY=%s ended with %d, want 2 for none: %s%s", nowhere, code, p.Stdout, p.Stderr)
	}
}

// TestAdminOnAUnixSocket: the owner's alone, and taken over from a process that was killed.
func TestAdminOnAUnixSocket(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Replace: []string{"admin: 127.0.0.1:0", "admin: ./a.sock"}})
	for range 2 {
		issuer := lab.StartIssuer()
		client.Ready(issuer.Address("metrics"))
		socket := issuer.Address("admin")
		p := processtest.Start(t, []string{adminVariable + "=" + socket, adminTokenVariable + "=" + lab.AdminToken}, "token", "list", "-o", "json")
		if code := p.Wait(); code != exitNo || !strings.Contains(p.Stdout.String(), `"tokens": []`) {
			t.Errorf("list over %s ended with %d, want 2 for none: %s%s", socket, code, p.Stdout, p.Stderr)
		}
		if mode := mustStat(t, socket).Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", socket, mode)
		}
		issuer.Kill() // it leaves the socket behind
	}
}

// TestTokenRevokeSaysThatItWaits, on standard error, when the lease is long.
func TestTokenRevokeSaysThatItWaits(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Lease: "1500ms"})
	issuer, _ := lab.Up(client)
	if stdout, _, code := operate(t, lab, issuer, "revoke", "--client", "nobody"); code != exitNo || !strings.HasPrefix(stdout, "found nothing to end: all of client nobody; is the name right?\n") {
		t.Errorf("revoke of a client that is none ended with %d, want 2, and first that nothing was found:\n%s", code, stdout)
	}
	stdout, stderr, code := operate(t, lab, issuer, "revoke", "--client", "nobody", "-o", "json")
	if code != exitNo || !strings.Contains(stderr, "waiting") || strings.Contains(stdout, "waiting") {
		t.Errorf("revoke with a lease of 1.5s ended with %d, want 2, and a line on standard error:\n%s%s", code, stdout, stderr)
	}
}

// TestEdgeNames are what the store takes, whatever the host is called.
func TestEdgeNames(t *testing.T) {
	t.Parallel()
	for listen, port := range map[string]string{":8080": "8080", "127.0.0.1:65535": "65535", "[::1]:1": "1"} {
		name := edgeName(listen)
		if len(name) > 64 || !strings.HasSuffix(name, "-"+port) || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("edgeName(%q) = %q, want at most 64 of A-Z a-z 0-9 - _ that end in -%s", listen, name, port)
		}
	}
}
