package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// startDev starts `coatcheck dev` and waits for its banner. Its state goes into a directory of its own.
func startDev(t *testing.T, args ...string) (dev *processtest.Process, environ []string) {
	t.Helper()
	environ = []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	return startDevIn(t, environ, args...), environ
}

func startDevIn(t *testing.T, environ []string, args ...string) *processtest.Process {
	t.Helper()
	dev := processtest.Start(t, environ, append([]string{"dev"}, args...)...)
	processtest.Eventually(t, "coatcheck dev prints its banner", func() bool {
		if dev.Ended() {
			t.Fatalf("coatcheck dev has ended with %d:\n%s%s", dev.Wait(), dev.Stdout, dev.Stderr)
		}
		return strings.Contains(dev.Stdout.String(), "Ctrl-C")
	})
	return dev
}

// commands are the lines of the banner that people paste, with their comments.
func commands(banner string) string {
	var out strings.Builder
	for line := range strings.Lines(banner) {
		if strings.TrimSpace(line) != "" && line[0] != ' ' {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestDevLinesWorkWhenPasted runs what is printed in a real shell, in order.
func TestDevLinesWorkWhenPasted(t *testing.T) {
	t.Parallel()
	dev, environ := startDev(t, "--ports-from", "0")
	script := commands(dev.Stdout.String())
	if regexp.MustCompile(`(?m)^#`).MatchString(script) {
		t.Error("the lines have comments, which zsh does not know at its prompt")
	}
	sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	sh.Env = append(environ, "PATH="+filepath.Dir(processtest.Binary(t))+":"+os.Getenv("PATH"))
	got, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\nscript:\n%s\noutput:\n%s", err, script, got)
	}
	out := string(got)
	for _, want := range []string{
		`"service": "orders"`, `"orders-api"`, `"service": "billing"`, `"billing-api"`, `"jti": "`, `"tenant": "demo"`,
		"revoked token ", "from now on no edge lets it through", `invalid_token`, "1  The client sent", "2  The edge decided", `3  The service "orders" got a JWT instead`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the pasted lines do not show %q", want)
		}
	}
	if last := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]; !strings.Contains(last, `"status":401`) {
		t.Errorf("the call after the revocation ended in %q, want a 401", last)
	}
	reference := regexp.MustCompile(`(?m)^cck_[0-9A-Za-z]{65}$`).FindString(out)
	if reference == "" {
		t.Error("no opaque reference was shown")
	}
	if strings.Contains(out, "eyJ") {
		t.Error("a JWT has come out")
	}
	if t.Failed() {
		t.Logf("script:\n%s\noutput:\n%s", script, out)
	}
}

// TestDevStartsAndLeavesNothing: ready soon, a state file of the user alone, and nothing left after Ctrl-C.
func TestDevStartsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	began := time.Now()
	dev, environ := startDev(t, "--ports-from", "0")
	t.Logf("from exec to banner: %v (it says: %s)", time.Since(began).Round(time.Millisecond),
		regexp.MustCompile(`Ready in \d+ ms`).FindString(dev.Stdout.String()))

	_, dir, _ := strings.Cut(environ[0], "=")
	files, err := filepath.Glob(filepath.Join(dir, "coatcheck", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("state files %v, %v; want one", files, err)
	}
	state := files[0]
	info, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("%s has mode %04o, want 0600: it holds a secret", state, mode)
	}
	if code := dev.Terminate(); code != exitOK {
		t.Errorf("coatcheck dev ended with %d, want 0", code)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("%s is still there after the end: %v", state, err)
	}
	_, tmp, _ := strings.Cut(environ[1], "=")
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind in the directory for temporary files: %v %v", left, err)
	}
}

// TestDevTakesTheNextFreePort and says so.
func TestDevTakesTheNextFreePort(t *testing.T) {
	t.Parallel()
	taken, err := bind(t.Context(), "test", processtest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	at := taken.Addr().String()
	dev, _ := startDev(t, "--ports-from", at[strings.LastIndexByte(at, ':')+1:])
	if want := "port " + at[strings.LastIndexByte(at, ':')+1:] + " is taken: the edge is on "; !strings.Contains(dev.Stdout.String(), want) {
		t.Errorf("the banner does not say %q:\n%s", want, dev.Stdout)
	}
}

// TestDevConfigurationIsAnOrdinaryOne: what --print-config prints is the file that is run.
func TestDevConfigurationIsAnOrdinaryOne(t *testing.T) {
	t.Parallel()
	p := processtest.Start(t, nil, "dev", "--print-config")
	if code := p.Wait(); code != exitOK || p.Stdout.String() != string(devYAML) {
		t.Errorf("dev --print-config ended with %d and printed\n%s", code, p.Stdout)
	}
}

// TestDevConfigurationRuns: what is printed loads once the commands in its first lines have made its secrets.
func TestDevConfigurationRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "coatcheck.yaml")
	if err := os.WriteFile(file, devYAML, 0o600); err != nil {
		t.Fatal(err)
	}
	made := 0
	for line := range strings.Lines(string(devYAML)) {
		if command, ok := strings.CutPrefix(line, "#   (umask 077;"); ok {
			sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", "(umask 077;"+command)
			sh.Dir = dir
			if out, err := sh.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			made++
		}
	}
	p := processtest.Start(t, nil, "check", "-c", file)
	if code := p.Wait(); code != exitOK || made != 2 || strings.Contains(p.Stdout.String(), "warning") {
		t.Errorf("check after %d commands ended with %d, want 0 without a warning after 2:\n%s%s", made, code, p.Stdout, p.Stderr)
	}
}

// edgeOf is the edge's URL in a banner.
func edgeOf(dev *processtest.Process) string {
	return regexp.MustCompile(`edge +(http://\S+)`).FindStringSubmatch(dev.Stdout.String())[1]
}

// TestTwoDevsAtOnce: each banner's line is about its own process, and call without a choice takes the newest that lives.
func TestTwoDevsAtOnce(t *testing.T) {
	t.Parallel()
	first, environ := startDev(t, "--ports-from", "0")
	second := startDevIn(t, environ, "--ports-from", "0")
	called := func(args ...string) (string, int) {
		p := processtest.Start(t, environ, append([]string{"call", "GET", "/orders/17", "-o", "json"}, args...)...)
		code := p.Wait()
		return p.Stdout.String() + p.Stderr.String(), code
	}
	for _, dev := range []*processtest.Process{first, second} {
		line := regexp.MustCompile(`call GET /orders/17 --show-swap (--edge) (\S+)\n`).FindStringSubmatch(dev.Stdout.String())
		if line == nil || line[2] != edgeOf(dev) {
			t.Fatalf("the banner's last line does not name its own edge:\n%s", dev.Stdout)
		}
		if out, code := called(line[1], line[2]); code != exitOK || !strings.Contains(out, edgeOf(dev)+"/orders") {
			t.Errorf("call %q ended with %d: %s", line[1:], code, out)
		}
	}
	if out, code := called(); code != exitOK || !strings.Contains(out, edgeOf(second)+"/orders") {
		t.Errorf("call with two running ended with %d, want the second: %s", code, out)
	}
	second.Kill() // it cannot clean up
	if out, code := called(); code != exitOK || !strings.Contains(out, edgeOf(first)+"/orders") {
		t.Errorf("call after the second was killed ended with %d, want the first: %s", code, out)
	}
	_, dir, _ := strings.Cut(environ[0], "=")
	if left, err := os.ReadDir(filepath.Join(dir, "coatcheck")); err != nil || len(left) != 1 {
		t.Errorf("state files %v, %v; want the first's alone", left, err)
	}
	first.Terminate()
	if out, code := called(); code != exitUnavailable || !strings.Contains(out, "no coatcheck dev is running") {
		t.Errorf("call after both have ended: %d %s", code, out)
	}
}

// TestCallShowsTheSwap, for an allowed call and a refused one, to people and to programs.
func TestCallShowsTheSwap(t *testing.T) {
	t.Parallel()
	_, environ := startDev(t, "--ports-from", "0")

	p := processtest.Start(t, environ, "call", "GET", "/orders/17", "--show-swap")
	if code := p.Wait(); code != exitOK {
		t.Fatalf("call ended with %d:\n%s%s", code, p.Stdout, p.Stderr)
	}
	for _, want := range []string{"credential  Bearer cck_", "aud         orders-api", "scope       orders:read", "jti ", "orders-read", "tenant      demo"} {
		if !strings.Contains(p.Stdout.String(), want) {
			t.Errorf("the screen does not show %q:\n%s", want, p.Stdout)
		}
	}
	if strings.Contains(p.Stdout.String(), "eyJ") || regexp.MustCompile(`cck_[0-9A-Za-z]{20}`).MatchString(p.Stdout.String()) {
		t.Errorf("the screen shows a JWT or a whole reference:\n%s", p.Stdout)
	}

	p = processtest.Start(t, environ, "call", "get", "/orders/17", "--audience", "billing-api", "--show-swap", "-o", "json")
	code := p.Wait()
	var got seen
	if err := json.Unmarshal([]byte(p.Stdout.String()), &got); err != nil {
		t.Fatalf("call -o json printed %q: %v\n%s", p.Stdout, err, p.Stderr)
	}
	if code != exitNo || got.Decided.Status != http.StatusForbidden || got.Decided.Error != "insufficient_scope" {
		t.Errorf("a reference for billing on orders: exit %d, %+v; want exit 2, 403 insufficient_scope", code, got.Decided)
	}

	p = processtest.Start(t, environ, "call", "GET", "/orders/17", "--show-swap", "--reveal")
	if p.Wait(); !regexp.MustCompile(`Bearer cck_[0-9A-Za-z]{65}\n`).MatchString(p.Stdout.String()) {
		t.Errorf("--reveal does not show the reference:\n%s", p.Stdout)
	}
}
