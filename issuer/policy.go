package issuer

import (
	"maps"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// ask is what a client asked for.
type ask struct {
	audiences []string // by name
	resources []string // by RFC 8707 URI
	scopes    []string // each once
}

// share is one audience's part of what a client gets.
type share struct {
	audience string
	scopes   []string // sorted
}

// parseScope reads a scope parameter (RFC 6749 §3.3).
func parseScope(text string) ([]string, *refusal) {
	var scopes []string
	for s := range strings.SplitSeq(text, " ") {
		switch {
		case s == "" || slices.Contains(scopes, s):
			continue
		case !validScope(s):
			return nil, refuse(invalidScope, "scope is not well-formed")
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// decide says which audiences the client gets, and which scopes at each; sorted by audience. Everything that was
// asked for is granted, or the request is refused: an answer that gives less than was asked is read by nobody.
func (r *register) decide(c *clients.Known, a ask) ([]share, *refusal) {
	for _, s := range a.scopes {
		// A scope that does not exist and one that is not this client's get the same answer.
		if !slices.Contains(c.Audiences[r.owners[s]], s) {
			return nil, &refusal{outcome: invalidScope, why: "a scope is unknown, or not among this client's", about: s}
		}
	}
	audiences, no := r.audiences(c, a)
	if no != nil {
		return nil, no
	}
	for _, s := range a.scopes {
		if !slices.Contains(audiences, r.owners[s]) {
			return nil, &refusal{outcome: invalidScope, why: "a scope belongs to an audience that was not asked for", about: s}
		}
	}
	shares := make([]share, 0, len(audiences))
	for _, audience := range audiences {
		has := c.Audiences[audience]
		if len(a.scopes) > 0 {
			has = slices.DeleteFunc(slices.Clone(has), func(s string) bool { return !slices.Contains(a.scopes, s) })
		}
		shares = append(shares, share{audience, has})
	}
	return shares, nil
}

// audiences: those asked for; without asking, those that own the requested scopes; else the client's default ones;
// else its only one. A client with several must say which: guessing would hand out more than is needed.
func (r *register) audiences(c *clients.Known, a ask) ([]string, *refusal) {
	chosen := map[string]bool{}
	for _, name := range a.audiences {
		if _, has := c.Audiences[name]; !has {
			return nil, &refusal{outcome: invalidTarget, why: "an audience is unknown, or not among this client's", about: name}
		}
		chosen[name] = true
	}
	for _, uri := range a.resources {
		name := r.resources[uri]
		if _, has := c.Audiences[name]; !has {
			return nil, &refusal{outcome: invalidTarget, why: "a resource is unknown, or not among this client's", about: uri}
		}
		chosen[name] = true
	}
	if len(chosen) == 0 {
		for _, s := range a.scopes {
			chosen[r.owners[s]] = true
		}
	}
	switch {
	case len(chosen) > 0:
		return slices.Sorted(maps.Keys(chosen)), nil
	case len(c.DefaultAudiences) > 0:
		return slices.Compact(slices.Sorted(slices.Values(c.DefaultAudiences))), nil
	case len(c.Audiences) == 1:
		return slices.Collect(maps.Keys(c.Audiences)), nil
	}
	return nil, refuse(invalidTarget, "name an audience or a scope: this client has no default")
}
