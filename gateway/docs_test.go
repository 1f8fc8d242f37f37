package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestEveryCodeIsDocumented holds docs/errors.md to the table: a code without a row is one that nobody can look up.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if row := fmt.Sprintf("| `%s` | %d |", p.name, p.status); !strings.Contains(string(page), row) {
			t.Errorf("docs/errors.md has no row %q", row)
		}
	}
}
