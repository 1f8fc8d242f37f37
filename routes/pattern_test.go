package routes

import (
	"strings"
	"testing"
)

// Any text either is refused or makes a rule that ServeMux accepts too, and that some canonical request matches.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"GET /orders/{rest...}", "/", "h.example/{$}", "POST [::1]/a%20b/{x}/", "/%2e", "/{a}{b}", "/a//b", "get /", "/*", "/é/%C3%A9", "GET\t/x", "/{", "%/", "/a%25/{_1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, match string) {
		table, err := build(match)
		if err != nil {
			return
		}
		if _, err := mux(match); err != nil {
			t.Fatalf("%q loads, ServeMux says %v", match, err)
		}
		p, err := parse(match)
		if err != nil {
			t.Fatalf("%q loads and does not parse: %v", match, err)
		}
		method, target, _ := strings.Cut(example(p, p), " ")
		slash := strings.IndexByte(target, '/')
		if r, result := table.Match(method, target[:slash], target[slash:]); result != Found || r.Match != match {
			t.Fatalf("%q does not match its example %s %s (%d)", match, method, target, result)
		}
	})
}
