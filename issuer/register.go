package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// register is the configuration of audiences and clients, checked and frozen: what New was given may change
// afterwards without changing it.
type register struct {
	owners    map[string]string // scope → the audience that owns it
	resources map[string]string // RFC 8707 URI → audience
	clients   map[string]*client
	longest   time.Duration // life of any client's tokens
}

// client is one who may ask.
type client struct {
	id       string
	secret   SecretHash
	grants   []string
	shares   map[string][]string // audience → scopes that it may have, sorted
	defaults []string
	serves   []string // audiences that it is the service of, sorted
	claims   []byte   // configured ones, as they stand in each of its JWTs: `,"name":value` for each
	ttl      time.Duration
	quota    quota
}

type quota struct{ grants, bytes int64 }

const maxClientID = 128 // bytes

// newRegister says everything that is wrong with audiences and clients, in the order of their names.
func newRegister(c Config) (*register, error) {
	r := &register{owners: map[string]string{}, resources: map[string]string{}, clients: map[string]*client{}, longest: c.TTL}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Audiences)) {
		for _, err := range r.addAudience(name, c.Audiences[name]) {
			faults = append(faults, fmt.Errorf("issuer: audience %q: %w", name, err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Clients)) {
		for _, err := range r.addClient(id, c.Clients[id], c) {
			faults = append(faults, fmt.Errorf("issuer: client %q: %w", id, err))
		}
	}
	return r, errors.Join(faults...)
}

func (r *register) addAudience(name string, a Audience) (faults []error) {
	if name == "" || name == exchange.ManifestAudience || strings.ContainsFunc(name, unprintable) {
		faults = append(faults, errors.New("not a name for an audience: use printable ASCII without spaces"))
	}
	for _, scope := range slices.Sorted(maps.Keys(a.Scopes)) {
		if !validScope(scope) {
			faults = append(faults, fmt.Errorf("scope %q: use printable ASCII without space, quote or backslash (RFC 6749 §3.3)", scope))
		}
		if owner, taken := r.owners[scope]; taken {
			faults = append(faults, fmt.Errorf("scope %q belongs to audience %q already: a scope has one owner", scope, owner))
			continue
		}
		r.owners[scope] = name
	}
	if a.Resource == "" {
		return faults
	}
	if u, err := url.Parse(a.Resource); err != nil || !u.IsAbs() || strings.Contains(a.Resource, "#") {
		faults = append(faults, fmt.Errorf("resource %q must be an absolute URI without fragment (RFC 8707 §2)", a.Resource))
	}
	if other, taken := r.resources[a.Resource]; taken {
		faults = append(faults, fmt.Errorf("resource %q names audience %q already", a.Resource, other))
	}
	r.resources[a.Resource] = name
	return faults
}

func (r *register) addClient(id string, in Client, c Config) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	out := &client{
		id: id, secret: in.Secret, grants: slices.Clone(in.GrantTypes), defaults: slices.Clone(in.DefaultAudiences),
		shares: map[string][]string{}, ttl: in.TTL, quota: quota{in.MaxGrants, in.MaxBytes},
	}
	if id == "" || len(id) > maxClientID || strings.ContainsFunc(id, unprintable) || (in.ID != "" && in.ID != id) {
		fault("not an id for a client: use up to %d characters of printable ASCII without spaces", maxClientID)
	}
	for _, g := range in.GrantTypes {
		if g != clientCredentials {
			fault("grant type %q is not offered: use %s", g, clientCredentials)
		} else if in.Secret.isZero() {
			fault("%s needs a secret: set secret_file, or secret_hash", g)
		}
	}
	for _, audience := range slices.Sorted(maps.Keys(in.Audiences)) {
		if _, known := c.Audiences[audience]; !known {
			fault("audience %q is not one of audiences", audience)
		}
		out.shares[audience] = slices.Compact(slices.Sorted(slices.Values(in.Audiences[audience])))
		for _, scope := range out.shares[audience] {
			if r.owners[scope] != audience {
				fault("scope %q is not one of audience %q", scope, audience)
			}
		}
	}
	for _, audience := range in.DefaultAudiences {
		if _, has := in.Audiences[audience]; !has {
			fault("default audience %q is not among its audiences", audience)
		}
	}
	if len(in.Serves) > 0 && in.Secret.isZero() {
		fault("a client that serves an audience must prove who it is: set secret_file, or secret_hash")
	}
	for _, audience := range in.Serves {
		if _, known := c.Audiences[audience]; !known {
			fault("it serves audience %q, which is not one of audiences", audience)
		}
	}
	out.serves = slices.Compact(slices.Sorted(slices.Values(in.Serves)))
	if out.ttl == 0 {
		out.ttl = c.TTL
	}
	if !wholeSeconds(out.ttl) {
		fault("ttl %v is not a positive number of whole seconds", out.ttl)
	}
	if in.MaxGrants < 0 || in.MaxBytes < 0 {
		fault("a quota cannot be negative")
	}
	var claimFaults []error
	out.claims, claimFaults = freezeClaims(in.Claims)
	r.clients[id], r.longest = out, max(r.longest, out.ttl)
	return append(faults, claimFaults...)
}

// freezeClaims encodes the configured claims once. A name that a registered claim, one of ours or an earlier one has
// is refused, also in other letters: some JSON readers take "SUB" for "sub", and package verifier takes neither.
func freezeClaims(in map[string]any) (out []byte, faults []error) {
	taken := reservedClaims()
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if name == "" || slices.ContainsFunc(taken, func(r string) bool { return strings.EqualFold(r, name) }) {
			faults = append(faults, fmt.Errorf("claim %q is set by the issuer alone, or twice: choose another name", name))
			continue
		}
		taken = append(taken, name)
		one, err := json.Marshal(map[string]any{name: in[name]})
		if err != nil {
			faults = append(faults, fmt.Errorf("claim %q cannot be written as JSON", name))
			continue
		}
		out = append(append(out, ','), one[1:len(one)-1]...)
	}
	return out, faults
}

// reservedClaims are the registered claims that say who, for whom, until when, by what proof and on whose behalf
// (RFC 7519 §4.1, RFC 7800 §3, RFC 8693 §4, RFC 9068 §2.2, RFC 9396 §9, OpenID Connect Core §2), and our own.
func reservedClaims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
		"client_id", "scope", "cnf", "act", "may_act", "auth_time", "acr", "amr", "azp", "nonce", "sid", "events",
		"authorization_details", "token_introspection",
		"handles", "shares", "version",
	}
}

// unprintable: outside %x21-7E.
func unprintable(c rune) bool { return c < 0x21 || c > 0x7e }

// validScope: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 §3.3).
func validScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return unprintable(c) || c == '"' || c == '\\' })
}
