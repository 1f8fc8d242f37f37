package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever a client sends, what is taken for a token is the last word of a header that begins with the scheme.
func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer abc", "bearer  a.b-c_d~e+f/g==", "Basic eDp5", "Basic x, Bearer y", "Bearer a,b", "Bearer\tx", " Bearer x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := parseAuthorization(value)
		if p.raw == "" {
			return
		}
		scheme, rest, _ := strings.Cut(value, " ")
		if p.malformed || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != p.raw || strings.ContainsAny(p.raw, " \t,;\"\r\n\x00") {
			t.Errorf("%q parsed as token %q, malformed %v", value, p.raw, p.malformed)
		}
	})
}

func TestPresentedDoesNotPrint(t *testing.T) {
	t.Parallel()
	p := parseAuthorization("Bearer canary")
	for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, p); strings.Contains(got, "canary") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
