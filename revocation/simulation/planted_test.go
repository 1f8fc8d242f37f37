package simulation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// TestCheckerFindsWhatIsPlanted: a checker that finds nothing proves nothing.
func TestCheckerFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	const s = time.Second
	issued := time.Unix(1000, 0)
	one := &token{jti: "one", client: "c", family: "f", subject: "s", kid: "k", issued: issued, begun: 2 * s}
	ofToken := store.Revocation{Kind: store.KindToken, Name: "one"}
	for _, row := range []struct {
		story    string
		revoke   revoked
		decision decision
		want     string // part of the fault; empty: none
	}{
		{"let through before", revoked{ofToken, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 4 * s, 5 * s}, ""},
		{"let through after", revoked{ofToken, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after its revocation"},
		{"let through before, and sent after", revoked{ofToken, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 4 * s, 7 * s}, "2s after its revocation"},
		{"never answered", revoked{ofToken, "i", 3 * s, 0}, decision{one, "e", "hit", 6 * s, 6 * s}, ""},
		{"of another token", revoked{store.Revocation{Kind: store.KindToken, Name: "two"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, ""},
		{"its family", revoked{store.Revocation{Kind: store.KindFamily, Name: "f"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after"},
		{"its client", revoked{store.Revocation{Kind: store.KindClient, Name: "c"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after"},
		{"its subject", revoked{store.Revocation{Kind: store.KindSubject, Name: "s"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after"},
		{"its key", revoked{store.Revocation{Kind: store.KindKey, Name: "k"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after"},
		{"all before a moment", revoked{store.Revocation{Kind: store.KindBefore, Name: "1001"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, "1s after"},
		{"all before its own moment", revoked{store.Revocation{Kind: store.KindBefore, Name: "1000"}, "i", 3 * s, 5 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, ""},
		{"minted since its client was revoked", revoked{store.Revocation{Kind: store.KindClient, Name: "c"}, "i", 1 * s, 2 * s}, decision{one, "e", "hit", 6 * s, 6 * s}, ""},
	} {
		h := &history{tokens: []*token{one}, revokes: []*revoked{&row.revoke}, decisions: []decision{row.decision}}
		var got string
		for _, f := range check(h) {
			got += f.text
		}
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: the checker says %q, want %q in it", row.story, got, row.want)
		}
	}
}
