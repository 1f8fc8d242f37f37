package clients

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// freezeClaims encodes the configured claims once. A name that a registered claim, one of ours or an earlier one has
// is refused, also in other letters: some JSON readers take "SUB" for "sub", and package verifier takes neither.
func freezeClaims(in map[string]any) (out map[string]json.RawMessage, faults []error) {
	out = make(map[string]json.RawMessage, len(in))
	taken := ReservedClaims()
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if name == "" || slices.ContainsFunc(taken, func(r string) bool { return strings.EqualFold(r, name) }) {
			faults = append(faults, fmt.Errorf("claim %q is set by the issuer alone, or twice: choose another name", name))
			continue
		}
		taken = append(taken, name)
		value, err := json.Marshal(in[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("claim %q cannot be written as JSON", name))
			continue
		}
		out[name] = value
	}
	return out, faults
}

// ReservedClaims are the registered claims that say who, for whom, until when, by what proof and on whose behalf
// (RFC 7519 §4.1, RFC 7800 §3, RFC 8693 §4, RFC 9068 §2.2, RFC 9396 §9, OpenID Connect Core §2), and our own.
func ReservedClaims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
		"client_id", "scope", "cnf", "act", "may_act", "auth_time", "acr", "amr", "azp", "nonce", "sid", "events",
		"authorization_details", "token_introspection",
		"active", "token_type", // RFC 7662 §2.2: they stand beside claims in an answer about a token
		"handles", "origin", "shares", "version",
	}
}
