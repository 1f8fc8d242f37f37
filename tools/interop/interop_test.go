// Package interop runs the libraries that clients and services use against a real issuer and edge:
//
//	make interop
//
// Nothing here is ours but the program under test; what a peer insists on, the metadata and the tokens must have.
package interop

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestMain takes the program that make has built: building it here would take this module's versions of libraries.
func TestMain(m *testing.M) {
	program, err := filepath.Abs("../../bin/coatcheck")
	if err == nil {
		_, err = os.Stat(program)
	}
	if err == nil {
		err = os.Setenv("PROCESSTEST_COATCHECK", program)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "interop: %v: run it with make interop, which builds the program first\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// house is a running issuer and edge, with a client of their own.
type house struct {
	*processtest.Lab
	client *processtest.Client
	issuer *processtest.Process
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{Lab: processtest.New(t, processtest.Options{Lease: "100ms"}), client: processtest.NewClient(t)}
	h.issuer, _ = h.Up(h.client)
	return h
}

// jwt is what the orders service receives for a new reference.
func (h *house) jwt(t *testing.T) string {
	t.Helper()
	if a := h.client.Call("GET", h.Edge()+"/orders/1", h.Lab.Token(h.client)); a.Status != http.StatusOK {
		t.Fatalf("call: %d %s", a.Status, a.Body)
	}
	return h.Orders.Last(t).JWT()
}

// keySet fetches the JWKS into a file.
func (h *house) keySet(t *testing.T) (file, text string) {
	t.Helper()
	text = h.client.Do("GET", h.Issuer()+"/.well-known/jwks.json", nil, "").Body
	return h.Write("jwks.json", text), text
}

// run runs a program of another language, with a text on standard input.
func run(t *testing.T, stdin, name string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// call asks the edge with an HTTP client that brings the reference itself.
func call(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
