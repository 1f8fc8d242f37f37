package interop

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

func TestNode(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, script := range []string{"openid-client.mjs", "oauth4webapi.mjs", "jose.mjs"} {
		out, err := run(t, h.jwt(t), "node", "node/"+script, h.Issuer(), h.Client, h.Secret, h.Edge())
		if err != nil || !strings.HasSuffix(out, "ok\n") {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// verifiers are programs that take a JWT on standard input, and a file with a key set.
func verifiers(h *house, keys string) map[string][]string {
	return map[string][]string{
		"PyJWT (Python)":    {"/usr/bin/python3", "verify.py", keys, h.Issuer(), "orders-api"},
		"jose (C)":          {"jose", "jws", "ver", "-i", "-", "-k", keys, "-O", "-"},
		"jose (JavaScript)": {"node", "node/verify.mjs", keys, h.Issuer(), "orders-api"},
	}
}

// TestVerifiersAcrossARotation: verifiers of other languages take what services get before and after the signing key was
// taken away and another took its place, each with the key set of its time, and do not take the old token any more.
func TestVerifiersAcrossARotation(t *testing.T) {
	t.Parallel()
	h := open(t)
	old := h.jwt(t)
	keys, text := h.keySet(t)
	for name, program := range verifiers(h, keys) {
		if out, err := run(t, old, program[0], program[1:]...); err != nil {
			t.Errorf("%s, before: %v\n%s", name, err, out)
		}
		if out, err := run(t, old[:len(old)-6]+"AAAAAA", program[0], program[1:]...); err == nil {
			t.Errorf("%s takes a signature that is wrong: %s", name, out)
		}
	}
	if a := h.Admin(h.client, h.issuer, "POST", "/v1/revocations", map[string]any{"key": kid(t, old)}); a.Status != http.StatusOK {
		t.Fatalf("retire the key: %d %s", a.Status, a.Body)
	}
	processtest.Eventually(t, "the edge knows the new key", func() bool {
		return h.client.Call("GET", h.Edge()+"/orders/1", h.Lab.Token(h.client)).Status == http.StatusOK
	})
	renewed := h.jwt(t)
	keys, after := h.keySet(t)
	if kid(t, renewed) == kid(t, old) || after == text {
		t.Fatalf("the key was not replaced: %s", after)
	}
	for name, program := range verifiers(h, keys) {
		if out, err := run(t, renewed, program[0], program[1:]...); err != nil {
			t.Errorf("%s, after: %v\n%s", name, err, out)
		}
		if out, err := run(t, old, program[0], program[1:]...); err == nil {
			t.Errorf("%s takes a token of a key that was taken away: %s", name, out)
		}
	}
}
