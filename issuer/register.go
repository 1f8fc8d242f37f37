package issuer

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
)

// register is the configuration of audiences, checked and frozen: what New was given may change afterwards without
// changing it. Who may have what of them is in the register of clients.
type register struct {
	owners    map[string]string   // scope → the audience that owns it
	services  map[string]audience // by the name of the audience
	resources map[string]string   // RFC 8707 URI → audience
	clients   *clients.Register
	trusted   map[string]trusted // by the `iss` of its tokens
	derived   derived
	longest   time.Duration // life of any client's tokens
}

// newRegister says everything that is wrong with audiences and clients, in the order of their names.
func newRegister(c Config, grantTypes []string) (*register, error) {
	r := &register{owners: map[string]string{}, resources: map[string]string{}, services: map[string]audience{}}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Audiences)) {
		for _, err := range r.addAudience(name, c.Audiences[name]) {
			faults = append(faults, fmt.Errorf("issuer: audience %q: %w", name, err))
		}
	}
	known, err := clients.New(c.Clients, c.rules(grantTypes))
	if err != nil {
		faults = append(faults, fmt.Errorf("issuer: %w", err))
	}
	r.clients, r.longest = known, max(c.TTL, known.Longest())
	faults = append(faults, r.addTrust(c)...)
	return r, errors.Join(faults...)
}

// derives reports whether anything may be derived from a grant: then a family is more than one token.
func (r *register) derives() bool {
	return len(r.derived.references) > 0 || len(r.derived.audiences) > 0 || r.clients.LongestRefresh() > 0
}

// rules are what clients may refer to.
func (c Config) rules(grantTypes []string) clients.Rules {
	audiences := make(map[string]map[string]bool, len(c.Audiences))
	for name, a := range c.Audiences {
		audiences[name] = make(map[string]bool, len(a.Scopes))
		for scope := range a.Scopes {
			audiences[name][scope] = true
		}
	}
	return clients.Rules{GrantTypes: grantTypes, WithSecret: []string{clientCredentials, tokenExchange, jwtBearer}, Keys: c.Names != nil, Audiences: audiences, TTL: c.TTL, MaxRefresh: exchange.MaxRefresh}
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
	seen, err := newAudience(a)
	if err != nil {
		faults = append(faults, err)
	}
	r.services[name] = seen
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

// unprintable: outside %x21-7E.
func unprintable(c rune) bool { return c < 0x21 || c > 0x7e }

// validScope: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 §3.3).
func validScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return unprintable(c) || c == '"' || c == '\\' })
}
