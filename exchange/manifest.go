package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// ManifestType and ManifestAudience are the `typ` header and the `aud` of a signed manifest.
const (
	ManifestType     = "coatcheck-manifest+jwt"
	ManifestAudience = "urn:coatcheck:edge"
)

const manifestVersion = 1

// Handles are the opaque names of client, family and subject (keyed hashes).
type Handles struct {
	Client  string `json:"client"`
	Family  string `json:"family"`
	Subject string `json:"subject"`
}

// Manifest is what the issuer signs about a grant; the edge decides by nothing outside it.
type Manifest struct {
	Issuer    string
	JTI       string
	ClientID  string
	Handles   Handles
	IssuedAt  time.Time                // whole seconds
	ExpiresAt time.Time                // whole seconds
	Shares    map[string]ManifestShare // by audience
}

// ManifestShare is one audience's part of a grant.
type ManifestShare struct {
	Scopes []string
	SHA256 [sha256.Size]byte // of that audience's token
}

// Claims are the JWT claims of the manifest, ready for the issuer to sign.
func (m Manifest) Claims() map[string]any {
	shares := make(map[string]shareClaims, len(m.Shares))
	for audience, s := range m.Shares {
		shares[audience] = shareClaims{
			Scope:  strings.Join(s.Scopes, " "),
			SHA256: base64.RawURLEncoding.EncodeToString(s.SHA256[:]),
		}
	}
	return map[string]any{
		"iss":       m.Issuer,
		"aud":       ManifestAudience,
		"jti":       m.JTI,
		"iat":       m.IssuedAt.Unix(),
		"exp":       m.ExpiresAt.Unix(),
		"version":   manifestVersion,
		"client_id": m.ClientID,
		"handles":   m.Handles,
		"shares":    shares,
	}
}

// shareClaims is one member of `shares`.
type shareClaims struct {
	Scope  string `json:"scope"`
	SHA256 string `json:"sha256"`
}

// manifestClaims is the payload of a manifest as it is read.
type manifestClaims struct {
	issuer, audience, jti, clientID string
	issuedAt, expires               int64
	version                         int
	handles                         Handles
	shares                          map[string]shareClaims
}

// verifyManifest decides whether opened contents are a grant under that jti, and refuses otherwise. It checks, in
// this order:
//
//  1. signature by a key of the issuer, typ, iss, aud, exp (the verifier): who wrote the record into the store, and
//     owns a reference to seal it under, still cannot sign
//  2. version 1, and no claim that version 1 does not have
//  3. jti is the key of the record, client_id is there
//  4. exp is the expiry that was sealed beside the manifest
//  5. the audiences of the shares are exactly those of the tokens, and each token has its share's hash
func (x *Exchange) verifyManifest(ctx context.Context, jti string, c contents, expires, now time.Time) (manifestClaims, error) {
	payload, err := verifier.Signed(ctx, x.keys, c.manifest, verifier.Expect{
		Type:     ManifestType,
		Issuer:   x.issuer,
		Audience: ManifestAudience,
		MaxBytes: maxManifest,
	}, now)
	switch {
	case errors.Is(err, verifier.ErrKeysUnavailable), ctx.Err() != nil:
		return manifestClaims{}, refuse(ReasonUnavailable, err)
	case errors.Is(err, verifier.ErrExpired):
		return manifestClaims{}, refuse(ReasonExpired, err)
	case err != nil:
		return manifestClaims{}, refuse(ReasonTampered, err)
	}
	m, err := readManifest(payload)
	if err == nil {
		err = m.holdsFor(jti, c.tokens, expires)
	}
	if err != nil {
		return manifestClaims{}, refuse(ReasonTampered, err)
	}
	return m, nil
}

// readManifest is strict: a claim that version 1 does not have may be one that must not be ignored.
func readManifest(payload []byte) (m manifestClaims, err error) {
	var handles json.RawMessage
	var shares map[string]json.RawMessage
	err = readObject(payload, map[string]any{
		"iss": &m.issuer, "aud": &m.audience, "jti": &m.jti, "iat": &m.issuedAt, "exp": &m.expires,
		"version": &m.version, "client_id": &m.clientID, "handles": &handles, "shares": &shares,
	})
	if err == nil {
		h := &m.handles
		err = readObject(handles, map[string]any{"client": &h.Client, "family": &h.Family, "subject": &h.Subject})
	}
	m.shares = make(map[string]shareClaims, len(shares))
	for audience, text := range shares {
		var s shareClaims
		if err == nil {
			err = readObject(text, map[string]any{"scope": &s.Scope, "sha256": &s.SHA256})
		}
		m.shares[audience] = s
	}
	switch {
	case err != nil:
		return m, errors.New("manifest: not the claims of a manifest") // a decoder's error quotes them
	case m.version != manifestVersion:
		return m, fmt.Errorf("manifest: version %d: want %d", m.version, manifestVersion)
	}
	return m, nil
}

// readObject fills fields from an object that has exactly their names. encoding/json alone would drop a name that it
// does not know, and take "JTI" for "jti". That no name is there twice the verifier has seen to.
func readObject(text []byte, fields map[string]any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	if len(members) != len(fields) {
		return errors.New("unknown or missing names")
	}
	for name, into := range fields {
		if err := json.Unmarshal(members[name], into); err != nil { // nil, if missing, is an error too
			return err
		}
	}
	return nil
}

// holdsFor are the checks 3 to 5 of verifyManifest.
func (m manifestClaims) holdsFor(jti string, tokens map[string]Token, expires time.Time) error {
	switch {
	case m.jti != jti:
		return errors.New("manifest: jti is not the key of the record")
	case m.clientID == "":
		return errors.New("manifest: no client")
	case m.expires != expires.Unix():
		return errors.New("manifest: exp is not the expiry of the record")
	case len(m.shares) != len(tokens):
		return errors.New("manifest: shares and tokens differ in number")
	}
	for audience, token := range tokens {
		if m.shares[audience].SHA256 != tokenHash(token) { // "" for a share that is not there
			return fmt.Errorf("manifest: token for %q is not the one signed for", audience)
		}
	}
	return nil
}

// tokenHash is the hash as manifests carry it. Hashes are public here: nothing is learned from the time of comparing.
func tokenHash(t Token) string {
	sum := sha256.Sum256(view(t.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
