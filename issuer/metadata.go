package issuer

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// place is where the issuer URL puts everything. It comes from the configuration alone: no header of a request has
// a say in it (RFC 8414 §3.3).
type place struct {
	issuer string // exactly as configured
	base   string // without a final slash
	path   string // of base
}

// plainPath is what an issuer's path may be: nothing that a proxy or a router could write in two ways.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`)

func parsePlace(issuer string) (place, error) {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return place{}, errors.New("issuer: the issuer URL is required")
	case err != nil:
		return place{}, fmt.Errorf("issuer: issuer URL: %w", err)
	case (u.Scheme != "https" && u.Scheme != "http") || u.Host == "":
		return place{}, fmt.Errorf("issuer: issuer URL %q must begin with https:// and a host", issuer)
	case u.User != nil || strings.ContainsAny(issuer, "?#"):
		return place{}, errors.New("issuer: issuer URL must have no user, query or fragment (RFC 8414 §2)")
	case !plainPath.MatchString(u.EscapedPath()):
		return place{}, fmt.Errorf("issuer: path of issuer URL %q: use plain segments of letters, digits, - . _ ~", issuer)
	}
	return place{issuer, strings.TrimSuffix(issuer, "/"), strings.TrimSuffix(u.Path, "/")}, nil
}

func (p place) tokenPath() string      { return p.path + "/oauth2/token" }
func (p place) revokePath() string     { return p.path + "/oauth2/revoke" }
func (p place) introspectPath() string { return p.path + "/oauth2/introspect" }
func (p place) jwksPath() string       { return p.path + "/.well-known/jwks.json" }
func (p place) openidPath() string     { return p.path + "/.well-known/openid-configuration" }

// metadataPath inserts the well-known part between host and path (RFC 8414 §3.1).
func (p place) metadataPath() string { return "/.well-known/oauth-authorization-server" + p.path }

// metadata is RFC 8414 §2, with the members that are true here. response_types_supported, which it requires, would
// be empty, and empty members are left out (§3.2): there is no authorization endpoint.
type metadata struct {
	Issuer             string   `json:"issuer"`
	TokenEndpoint      string   `json:"token_endpoint"`
	RevocationEndpoint string   `json:"revocation_endpoint"`
	JWKS               string   `json:"jwks_uri"`
	Scopes             []string `json:"scopes_supported,omitempty"`
	Grants             []string `json:"grant_types_supported"`
	AuthMethods        []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms     []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevokeAuthMethods  []string `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAlgorithms   []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`

	// Absent when only an internal listener has it: outside there is nothing to find.
	IntrospectionEndpoint    string   `json:"introspection_endpoint,omitempty"`
	IntrospectAuthMethods    []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectAuthAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectAlgorithms     []string `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
}

// metadataAge is how long anybody may keep the metadata without asking.
const metadataAge = 5 * time.Minute

func newMetadata(p place, r *register, a *authenticator, c Config) *document {
	methods, algorithms := a.offers()
	m := metadata{
		Issuer:             p.issuer,
		TokenEndpoint:      p.base + "/oauth2/token",
		RevocationEndpoint: p.base + "/oauth2/revoke",
		JWKS:               p.base + "/.well-known/jwks.json",
		Scopes:             slices.Sorted(maps.Keys(r.owners)),
		Grants:             r.grantTypes(),
		AuthMethods:        methods,
		AuthAlgorithms:     algorithms,
		RevokeAuthMethods:  methods,
		RevokeAlgorithms:   algorithms,
	}
	if !c.Internal {
		m.IntrospectionEndpoint = p.base + "/oauth2/introspect"
		m.IntrospectAuthMethods = methods
		m.IntrospectAuthAlgorithms = algorithms
		m.IntrospectAlgorithms = []string{c.Algorithm}
	}
	return newDocument("application/json", metadataAge, m)
}
