package main

import (
	"strings"
	"testing"
)

// TestSwapViewClaimsOnlyWhatItKnows: after a broken upstream nobody here knows what the service has got.
func TestSwapViewClaimsOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	const maybe, nothing = "The service may have got the request; it gave no answer", "The service got nothing"
	for code, want := range map[string]string{
		"upstream_error": maybe, "upstream_timeout": maybe, "invalid_body": maybe,
		"invalid_token": nothing, "insufficient_scope": nothing, "no_route": nothing,
	} {
		s := &seen{Decided: decided{Status: 400, Error: code}, body: []byte("{}")}
		if got := s.screen(); !strings.Contains(got, want) || strings.Contains(got, maybe) == strings.Contains(got, nothing) {
			t.Errorf("%s: want %q in\n%s", code, want, got)
		}
	}
}
