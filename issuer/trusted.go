package issuer

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
)

// Trusted is another issuer, and who may bring its tokens.
type Trusted struct {
	trust.Config
	Clients []string // by id
}

// trusted is a Trusted that was checked.
type trusted struct {
	*trust.Issuer
	clients []string
}

// trustedFor finds a trusted issuer by the `iss` that a token says of itself, for a client that may use it. One that it may not use
// is to it like one that is not there: the token is not even looked at.
func (r *register) trustedFor(c *clients.Known, issuer string) (*trust.Issuer, bool) {
	t, ok := r.trusted[issuer]
	if !ok || !slices.Contains(t.clients, c.ID) {
		return nil, false
	}
	return t.Issuer, true
}

// addTrust says what is wrong with trusted issuers, and with what clients may exchange.
func (r *register) addTrust(c Config) (faults []error) {
	r.trusted = make(map[string]trusted, len(c.Trusted))
	for _, alias := range slices.Sorted(maps.Keys(c.Trusted)) {
		for _, err := range r.addTrusted(alias, c.Trusted[alias], c) {
			faults = append(faults, fmt.Errorf("issuer: trusted issuer %q: %w", alias, err))
		}
	}
	r.derived = derived{map[string]bool{}, map[string]bool{}}
	for known := range r.clients.All() {
		for _, err := range r.addExchange(known) {
			faults = append(faults, fmt.Errorf("issuer: client %q: %w", known.ID, err))
		}
	}
	return faults
}

func (r *register) addTrusted(alias string, in Trusted, c Config) (faults []error) {
	t, err := trust.New(alias, in.Config, clients.ReservedClaims())
	if err != nil {
		faults = append(faults, err)
	}
	if _, twice := r.trusted[in.Issuer]; twice || in.Issuer == c.Issuer {
		faults = append(faults, fmt.Errorf("issuer %q is this one, or is trusted under another alias already", in.Issuer))
	}
	for _, id := range in.Clients {
		known := r.clients.Lookup(id)
		if known == nil || !slices.Contains(known.GrantTypes, tokenExchange) && !slices.Contains(known.GrantTypes, jwtBearer) {
			faults = append(faults, fmt.Errorf("client %q is not one of clients, or has neither of the grant types token-exchange and jwt-bearer", id))
		}
	}
	r.trusted[in.Issuer] = trusted{t, slices.Clone(in.Clients)}
	return faults
}

// addExchange notes what a client may derive something from.
func (r *register) addExchange(known *clients.Known) (faults []error) {
	x := known.Exchange
	if !slices.Contains(known.GrantTypes, tokenExchange) {
		if len(x.References) > 0 || x.JWTs || x.Actors {
			faults = append(faults, errors.New("it may exchange tokens, and has not the grant type token-exchange"))
		}
		return faults
	}
	for _, id := range x.References {
		if r.clients.Lookup(id) == nil {
			faults = append(faults, fmt.Errorf("it may exchange references of %q, which is not one of clients", id))
		}
		r.derived.references[id] = true
	}
	if x.Actors {
		r.derived.references[known.ID] = true
	}
	if x.JWTs && len(known.Serves) == 0 {
		faults = append(faults, errors.New("it may exchange the JWTs made for what it serves, and serves nothing"))
	}
	if x.JWTs {
		for _, audience := range known.Serves {
			r.derived.audiences[audience] = true
		}
	}
	return faults
}

// grantTypes are those that some client may use, and client_credentials, sorted: nobody is told of what is of use to nobody.
func (r *register) grantTypes() []string {
	used := map[string]bool{clientCredentials: true}
	for known := range r.clients.All() {
		for _, g := range known.GrantTypes {
			used[g] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}
