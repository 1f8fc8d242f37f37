package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestExitCodesAreFrozen: scripts depend on these numbers. A row may be added, never changed.
func TestExitCodesAreFrozen(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{})
	client := processtest.NewClient(t)
	issuer, _ := lab.Up(client)
	api := []string{"--admin", "http://" + issuer.Address("admin"), "--admin-token-file", filepath.Join(lab.Dir, "admin_token")}
	as := func(flags []string, args ...string) []string { return slices.Concat([]string{"token"}, args, flags) }
	reader := []string{api[0], api[1], api[2], filepath.Join(lab.Dir, "reader_token")}
	stranger := []string{api[0], api[1], api[2], lab.Write("stranger", strings.Repeat("x", 40))}
	live, leaked := jtiOf(t, client, lab, lab.Token(client)), lab.Write("leaked", lab.Token(client)+"\n")
	unknown := strings.Repeat("0", 32)
	memory := lab.Write("memory.yaml", mustReplace(t, read(t, lab.Config), `redis: {url: "redis://`+lab.Redis.Addr+`/0"}`, "memory"))
	memory = lab.Write("memory.yaml", mustReplace(t, read(t, memory), "store:\n  memory", "store: memory"))
	secret := filepath.Join(lab.Dir, "client_secret")
	nobody := t.TempDir() // no coatcheck dev has its state here

	for _, c := range []struct {
		name string
		args []string
		code int
		says string // on stderr; empty: nothing
	}{
		{"version", []string{"version"}, 0, ""},
		{"help", []string{"--help"}, 0, ""},
		{"help of a command", []string{"run", "--help"}, 0, ""},
		{"no command", nil, 0, ""},
		{"completion", []string{"completion", "bash"}, 0, ""},
		{"a good configuration", []string{"check", "-c", lab.Config}, 0, ""},
		{"a call that succeeds", []string{"call", "GET", "/orders/17", "-c", lab.Config, "--client", lab.Client, "--secret-file", secret}, 0, ""},
		{"a call that is refused", []string{"call", "POST", "/orders", "-c", lab.Config, "--client", lab.Client, "--secret-file", secret}, 2, ""},
		{"a client that gets no reference", []string{"call", "GET", "/orders/17", "-c", lab.Config, "--client", lab.Client, "--secret-file", lab.Write("wrong", "wrong")}, 2, "invalid_client"},
		{"a token that is revoked", as(api, "revoke", "--reference-file", leaked), 0, ""},
		{"a token that is looked at", as(reader, "inspect", live), 0, ""},
		{"tokens that are listed", as(reader, "list", "--client", lab.Client), 0, ""},
		{"nothing to revoke", as(api, "revoke", "--jti", unknown), 2, ""},
		{"nothing to look at", as(api, "inspect", strings.Repeat("1", 32)), 2, "no grant with this jti"},
		{"nothing to list", as(api, "list", "--client", "nobody"), 2, ""},
		{"nothing named to revoke", as(api, "revoke"), 64, "--jti"},
		{"two things named to revoke", as(api, "revoke", "--jti", live, "--client", lab.Client), 64, "in one way"},
		{"a jti that is none", as(api, "revoke", "--jti", "abc"), 64, "32 characters"},
		{"a file without a reference", as(api, "revoke", "--reference-file", secret), 64, "whole reference"},
		{"an admin API without a token", []string{"token", "list", "--admin", api[1]}, 64, "admin token is needed"},
		{"a token in clear beyond this machine", []string{"token", "list", "--admin", "http://192.0.2.1:8083", api[2], api[3]}, 64, "insecure-plaintext"},
		{"no admin API", []string{"token", "list", "--admin", "http://" + processtest.FreeAddress(t), api[2], api[3]}, 69, "listen.admin"},
		{"a reader who revokes", as(reader, "revoke", "--jti", live), 77, "tokens:revoke"},
		{"a token of nobody", as(stranger, "list"), 77, "admin.tokens"},
		{"a journal of another issuer", []string{"run", "-c", lab.Config, "--role", "issuer"}, 69, "each issuer needs a journal of its own"},
		{"a journal in no folder", []string{"run", "-c", lab.Write("nowhere.yaml", mustReplace(t, read(t, lab.Config), "journal: issuer-1", "journal: nowhere/issuer-1")), "--role", "issuer"}, 78, "make the folder"},
		{"an unknown command", []string{"runn"}, 64, "unknown command"},
		{"an unknown flag", []string{"run", "--confg", "x"}, 64, "unknown flag"},
		{"a missing flag", []string{"run"}, 64, "config"},
		{"a missing argument", []string{"call", "GET"}, 64, "accepts 2 arg"},
		{"an unknown role", []string{"run", "-c", lab.Config, "--role", "admin"}, 64, "all, gateway or issuer"},
		{"an unknown output", []string{"version", "-o", "xml"}, 64, "text or json"},
		{"a client that is not configured", []string{"call", "GET", "/", "-c", lab.Config, "--client", "nobody"}, 64, "no such client"},
		{"profiles beyond loopback", []string{"run", "-c", lab.Write("open.yaml", mustReplace(t, read(t, lab.Config), "metrics: 127.0.0.1:0", "metrics: 0.0.0.0:0")), "--unsafe-expose-pprof-on-metrics"}, 64, "loopback"},
		{"no coatcheck dev is running", []string{"call", "GET", "/"}, 69, "coatcheck dev"},
		{"a port in use", []string{"run", "-c", lab.Config, "--role", "gateway"}, 69, lab.EdgeAddr},
		{"a configuration that is not there", []string{"check", "-c", filepath.Join(lab.Dir, "none.yaml")}, 78, "none.yaml"},
		{"a memory store for one role", []string{"run", "-c", memory, "--role", "gateway"}, 78, "memory"},
		{"a variable that sets nothing", []string{"check", "-c", lab.Config}, 78, "COATCHECK_LISTEN_GATEWAI"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"XDG_RUNTIME_DIR=" + nobody}
			if c.code == exitConfig && strings.HasPrefix(c.says, "COATCHECK_") {
				environ = append(environ, c.says+"=:8080")
			}
			p := processtest.Start(t, environ, c.args...)
			code := p.Wait()
			if code != c.code {
				t.Errorf("coatcheck %q ended with %d, want %d\n%s%s", c.args, code, c.code, p.Stdout, p.Stderr)
			}
			got := strings.TrimPrefix(p.Stderr.String(), "waiting until no edge can be using what it knew before …\n") // on a slow machine
			if !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
				t.Errorf("coatcheck %q says on stderr %q, want %q in it", c.args, got, c.says)
			}
		})
	}
}

// TestBindErrorsSayTheMend covers what a test that may run as root cannot force.
func TestBindErrorsSayTheMend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
		mend string
	}{
		{syscall.EADDRINUSE, 69, "set listen.gateway to a free port"},
		{syscall.EACCES, 77, "above 1023"},
		{syscall.EADDRNOTAVAIL, 69, "an address of this machine"},
	} {
		err := explainBind("gateway", "192.0.2.1:443", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", c.err)})
		var coded *exitError
		if !errors.As(err, &coded) || coded.code != c.code || !strings.Contains(err.Error(), c.mend) || !strings.Contains(err.Error(), "192.0.2.1:443") {
			t.Errorf("explainBind(%v) = %v, want exit %d, the address and %q", c.err, err, c.code, c.mend)
		}
	}
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mustReplace(t *testing.T, text, old, with string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q is in the configuration %d times, want once:\n%s", old, strings.Count(text, old), text)
	}
	return strings.Replace(text, old, with, 1)
}
