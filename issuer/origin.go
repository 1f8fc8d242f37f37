package issuer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// origin is what an issuer has to know of a grant later, when something is to be derived from it, and nobody else may: whom
// it speaks for, and all that it reaches. It travels with the grant, sealed: in the manifest, and in the JWTs of those
// services that may exchange them. So nothing has to be kept beside the grant, and no service learns more than its share.
type origin struct {
	Subject string                     `json:"sub"`
	Claims  map[string]json.RawMessage `json:"claims,omitempty"`
	Act     *actor                     `json:"act,omitempty"`
	MayAct  string                     `json:"may_act,omitempty"`
	Client  string                     `json:"client_id"`
	Family  string                     `json:"family"`
	Shares  map[string][]string        `json:"shares"`
	Depth   int                        `json:"depth,omitempty"`
	Begun   int64                      `json:"begun,omitempty"` // of a family of refresh tokens: when, Unix seconds
}

const (
	originVersion = 1

	// maxOrigin bounds a sealed origin: with it a manifest is still far below what a record may be.
	maxOrigin = 8 << 10
)

// originName is under what name the origin of a grant is sealed: moved to another grant it does not open.
func originName(jti string) string { return "origin/" + jti }

// derived says of which grants something may be derived at all; the others have no origin.
type derived struct {
	references map[string]bool // by client id: a reference of it may be exchanged
	audiences  map[string]bool // a service of it may exchange its JWTs
}

// addOrigin seals what a grant rests on, if anything may be derived from it.
func (i *Issuer) addOrigin(g *grant, m *exchange.Manifest) error {
	d := i.register.derived
	wanted := d.references[g.client.ID]
	for _, s := range g.shares {
		wanted = wanted || d.audiences[s.audience]
	}
	if !wanted {
		return nil
	}
	sealed, err := i.sealOrigin(g.jti, g.asOrigin(m.Handles.Family))
	if err != nil {
		return err
	}
	g.origin = sealed
	if d.references[g.client.ID] {
		m.Origin = sealed
	}
	return nil
}

func (g grant) asOrigin(family string) origin {
	o := origin{
		Subject: g.basis.subject, Claims: g.basis.claims, Act: g.basis.act, MayAct: g.basis.mayAct, Client: g.client.ID,
		Family: family, Shares: make(map[string][]string, len(g.shares)), Depth: g.basis.depth,
	}
	for _, s := range g.shares {
		o.Shares[s.audience] = s.scopes
	}
	return o
}

// originFor is the origin as the JWT of an audience has it; empty for services that may not exchange.
func (g grant) originFor(audience string, d derived) string {
	if !d.audiences[audience] {
		return ""
	}
	return g.origin
}

func (i *Issuer) sealOrigin(jti string, o origin) (string, error) {
	plain, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("issuer: encode origin: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(i.sealing.Seal(originName(jti), originVersion, plain)), nil
}

// openOrigin is the reverse; an error says that no issuer of this system sealed it for this grant, or under a key that is
// no longer accepted.
func (i *Issuer) openOrigin(jti, sealed string) (o origin, err error) {
	if sealed == "" || len(sealed) > maxOrigin {
		return origin{}, fmt.Errorf("issuer: the grant %s has no origin, or one that is too long", jti)
	}
	blob, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return origin{}, fmt.Errorf("issuer: origin of %s is not base64url", jti)
	}
	plain, err := i.sealing.Open(originName(jti), originVersion, blob)
	if err != nil {
		return origin{}, fmt.Errorf("issuer: origin of %s: %w", jti, err)
	}
	if err := json.Unmarshal(plain, &o); err != nil {
		return origin{}, fmt.Errorf("issuer: origin of %s: not what this version seals", jti)
	}
	return o, nil
}

// basis is what a grant with this origin is to another that is derived from it.
func (o origin) basis(until time.Time) basis {
	return basis{
		subject: o.Subject, claims: o.Claims, within: o.Shares, until: until, family: o.Family,
		act: o.Act, mayAct: o.MayAct, depth: o.Depth + 1,
	}
}
