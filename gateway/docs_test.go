package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryCodeIsDocumented holds docs/errors.md to the table: a code without a row is one that nobody can look up.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	errors := page(t, "errors.md")
	for _, p := range problems {
		if row := fmt.Sprintf("| `%s` | %d |", p.name, p.status); !strings.Contains(errors, row) {
			t.Errorf("docs/errors.md has no row %q", row)
		}
	}
}

func TestEveryDecisionAndReasonIsDocumented(t *testing.T) {
	t.Parallel()
	errors := page(t, "errors.md")
	for _, word := range []string{
		decisionAllow, decisionDeny, decisionError, decisionHandler,
		reasonSwapped, reasonPublic, reasonLastHop, reasonStreamExpired, reasonAnswered, reasonAudience,
		string(exchange.ReasonMalformed), string(exchange.ReasonForged), string(exchange.ReasonStale),
		string(exchange.ReasonUnknown), string(exchange.ReasonExpired), string(exchange.ReasonTampered), string(exchange.ReasonKeyRevoked),
		string(exchange.ReasonUnavailable), string(exchange.ReasonClosed),
		string(revocation.Revoked), string(revocation.Expired), string(revocation.LeaseLost), reasonLeaseLost,
	} {
		if row := "| `" + word + "` | "; !strings.Contains(errors, row) {
			t.Errorf("docs/errors.md has no row %q", row)
		}
	}
}

// TestEveryManagedFieldIsDocumented holds docs/requests.md to the lists of hygiene: whoever wonders where a header has gone
// finds it there, with the reason.
func TestEveryManagedFieldIsDocumented(t *testing.T) {
	t.Parallel()
	requests := page(t, "requests.md")
	for _, m := range managed {
		if row := "| " + m.why + " | " + quotedNames(m.names) + " |\n"; !strings.Contains(requests, row) {
			t.Errorf("docs/requests.md has no row\n%s", row)
		}
	}
	if row := "| " + quotedNames(single[:]) + " twice | 400 |\n"; !strings.Contains(requests, row) {
		t.Errorf("docs/requests.md has no row\n%s", row)
	}
}

// quotedNames writes X-Real- as `X-Real-*`.
func quotedNames(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		if strings.HasSuffix(name, "-") {
			name += "*"
		}
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, " ")
}
