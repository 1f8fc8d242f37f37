package exchange_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// TestJTIOfIsTheReferencesOwn, whoever made it, and only of a whole reference.
func TestJTIOfIsTheReferencesOwn(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"cck", "ab", "abcdefgh1234"} {
		s, err := exchange.NewStamper(prefix, time.Hour, []byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		r := s.New()
		raw := r.Reveal()
		if got, err := exchange.JTIOf(raw); got != r.JTI() || err != nil {
			t.Errorf("JTIOf(a reference with prefix %s) = %q, %v; want %q", prefix, got, err, r.JTI())
		}
		other := byte('0')
		if raw[20] == other {
			other = '1'
		}
		for name, broken := range map[string]string{
			"nothing": "", "its jti": r.JTI(), "a newline behind": raw + "\n", "the first part": raw[:len(raw)-1], "one more": raw + "0",
			"a wrong character": raw[:20] + string(other) + raw[21:], "without prefix": raw[len(prefix)+1:], "a space": raw[:20] + " " + raw[21:],
		} {
			if got, err := exchange.JTIOf(broken); err == nil || got != "" || strings.Contains(err.Error(), raw[4:]) {
				t.Errorf("JTIOf(%s) = %q, %v; want an error that does not show it", name, got, err)
			}
		}
	}
}
