package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Client is who may ask for tokens, as somebody has configured it: in the configuration file, or at run time in JSON.
type Client struct {
	ID               string              `json:"id"`                          // in a file empty: the name that it is registered under; else the same
	Secret           SecretHash          `json:"-"`                           // zero: none; then the client has keys, or is public
	Keys             *Keys               `json:"-"`                           // with which it signs to say who it is; nil: none
	Public           bool                `json:"-"`                           // it cannot prove who it is: neither Secret nor Keys
	GrantTypes       []string            `json:"grant_types,omitempty"`       // among those that the issuer offers
	Audiences        map[string][]string `json:"audiences,omitempty"`         // audience → scopes that it may have
	DefaultAudiences []string            `json:"default_audiences,omitempty"` // what it gets when it names neither audience nor scope
	Serves           []string            `json:"serves,omitempty"`            // audiences that this client is the service of: of their tokens, and no others, it may ask
	Exchange         Exchange            `json:"exchange,omitzero"`           // what it may use as the subject of a token exchange
	Claims           map[string]any      `json:"claims,omitempty"`            // extra claims in its JWTs; never a registered name or ours
	TTL              time.Duration       `json:"-"`                           // 0: that of the issuer
	RefreshTTL       time.Duration       `json:"-"`                           // how long its refresh tokens can be used, from the first one on; 0: it gets none
	MaxGrants        int64               `json:"max_grants,omitempty"`        // live grants at a time; 0: 10,000
	MaxBytes         int64               `json:"max_bytes,omitempty"`         // sealed bytes at a time; 0: 40 MiB
}

// Exchange is which tokens of ours a client may exchange; of those of other issuers, their configuration decides. The zero
// value is none.
type Exchange struct {
	References []string `json:"references,omitempty"` // the clients whose references it may use, its own only if it is named
	JWTs       bool     `json:"jwts,omitempty"`       // the JWTs that were made for an audience that it serves
	Actors     bool     `json:"actors,omitempty"`     // beside the subject, the token of who acts for it: one of these, or a reference of its own
}

// Known is a client that was checked and frozen: whatever it was made of may change afterwards without changing it. It
// is shared by all requests, so nobody writes to it.
type Known struct {
	Client                            // with its ID and its TTL; scopes and what it serves are sorted, each once
	Extra  map[string]json.RawMessage // its claims, as they stand in its JWTs
	Added  bool                       // at run time: there may be thousands of those, so no metric names them
}

// Rules are what a client may refer to.
type Rules struct {
	GrantTypes []string                   // those that are offered
	WithSecret []string                   // those of them that only a client may have that proves who it is
	Keys       bool                       // a client may have keys
	Audiences  map[string]map[string]bool // audience → its scopes
	TTL        time.Duration              // of a client that names none
	MaxRefresh time.Duration              // that refresh tokens may be used at most
}

// MaxID is the length of an id, in bytes.
const MaxID = 128

// Check freezes a client, and says everything that is wrong with it.
func (r Rules) Check(id string, c Client) (*Known, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !ValidID(id) || (c.ID != "" && c.ID != id) {
		fault("not an id for a client: use up to %d characters of printable ASCII without spaces", MaxID)
	}
	for _, g := range c.GrantTypes {
		if !slices.Contains(r.GrantTypes, g) {
			fault("grant type %q is not offered: use %s", g, strings.Join(r.GrantTypes, ", "))
		} else if c.Public && slices.Contains(r.WithSecret, g) {
			fault("%s is not for a public client: give it a secret or keys", g)
		}
	}
	switch proves := !c.Secret.IsZero() || c.Keys != nil; {
	case proves && c.Public:
		fault("a public client has neither secret nor keys: remove them, or public")
	case !proves && !c.Public:
		fault("the client cannot prove who it is: give it a secret or keys, or say that it is public")
	case c.Keys != nil && !r.Keys:
		fault("the client has keys, and nothing remembers which of its assertions were used")
	case len(c.Serves) > 0 && !proves:
		fault("a client that serves an audience must prove who it is: give it a secret or keys")
	}
	faults = append(faults, r.checkAudiences(c)...)
	if c.MaxGrants < 0 || c.MaxBytes < 0 {
		fault("a quota cannot be negative")
	}
	known := &Known{Client: c.frozen(id)}
	if known.TTL == 0 {
		known.TTL = r.TTL
	}
	if known.TTL <= 0 || known.TTL%time.Second != 0 {
		fault("ttl %v is not a positive number of whole seconds", known.TTL)
	}
	faults = append(faults, r.checkRefresh(known)...)
	extra, wrong := freezeClaims(c.Claims)
	known.Extra = extra
	return known, errors.Join(append(faults, wrong...)...)
}

// refreshToken is the grant type, of RFC 6749 §6.
const refreshToken = "refresh_token"

// checkRefresh wants both or neither: the grant type says that the client can use refresh tokens, the life that it is to get
// some.
func (r Rules) checkRefresh(c *Known) (faults []error) {
	switch has := slices.Contains(c.GrantTypes, refreshToken); {
	case has && c.RefreshTTL == 0:
		faults = append(faults, errors.New("refresh_token without refresh_ttl: say how long its refresh tokens can be used, or take refresh_token out of grant_types"))
	case !has && c.RefreshTTL != 0:
		faults = append(faults, errors.New("refresh_ttl without refresh_token among grant_types: add it, or remove refresh_ttl"))
	case has && (c.RefreshTTL <= c.TTL || c.RefreshTTL > r.MaxRefresh || c.RefreshTTL%time.Second != 0):
		faults = append(faults, fmt.Errorf("refresh_ttl %v must be whole seconds, longer than ttl (%v) and at most %v", c.RefreshTTL, c.TTL, r.MaxRefresh))
	}
	return faults
}

func (r Rules) checkAudiences(c Client) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		scopes, exists := r.Audiences[audience]
		if !exists {
			fault("audience %q is not one of audiences", audience)
		}
		for _, scope := range slices.Compact(slices.Sorted(slices.Values(c.Audiences[audience]))) {
			if !scopes[scope] {
				fault("scope %q is not one of audience %q", scope, audience)
			}
		}
	}
	for _, audience := range c.DefaultAudiences {
		if _, has := c.Audiences[audience]; !has {
			fault("default audience %q is not among its audiences", audience)
		}
	}
	for _, audience := range c.Serves {
		if _, exists := r.Audiences[audience]; !exists {
			fault("it serves audience %q, which is not one of audiences", audience)
		}
	}
	return faults
}

// frozen is a copy that shares nothing with c; but for the claims, of which the encoded ones count.
func (c Client) frozen(id string) Client {
	c.ID = id
	c.GrantTypes = slices.Clone(c.GrantTypes)
	c.DefaultAudiences = slices.Clone(c.DefaultAudiences)
	c.Serves = slices.Compact(slices.Sorted(slices.Values(c.Serves)))
	c.Exchange.References = slices.Clone(c.Exchange.References)
	audiences := make(map[string][]string, len(c.Audiences))
	for audience, scopes := range c.Audiences {
		audiences[audience] = slices.Compact(slices.Sorted(slices.Values(scopes)))
	}
	c.Audiences = audiences
	c.Claims = nil
	return c
}

// ValidID reports whether an id of a client looks as it may.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && !strings.ContainsFunc(id, func(c rune) bool { return c < 0x21 || c > 0x7e })
}
