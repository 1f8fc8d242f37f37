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

// manifestClaims is the payload as it is read.
type manifestClaims struct {
	Issuer   string                 `json:"iss"`
	Audience string                 `json:"aud"`
	JTI      string                 `json:"jti"`
	IssuedAt int64                  `json:"iat"`
	Expires  int64                  `json:"exp"`
	Version  int                    `json:"version"`
	ClientID string                 `json:"client_id"`
	Handles  Handles                `json:"handles"`
	Shares   map[string]shareClaims `json:"shares"`
}

type shareClaims struct {
	Scope  string `json:"scope"`
	SHA256 string `json:"sha256"`
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

// readManifest is strict: a claim that version 1 does not have may be one that must not be ignored. The verifier has
// seen to it that no name is there twice.
func readManifest(payload []byte) (m manifestClaims, err error) {
	var shares map[string]json.RawMessage
	top, err := members(payload, "iss", "aud", "jti", "iat", "exp", "version", "client_id", "handles", "shares")
	if err == nil {
		_, err = members(top["handles"], "client", "family", "subject")
	}
	if err == nil {
		err = json.Unmarshal(top["shares"], &shares)
	}
	for _, s := range shares {
		if err == nil {
			_, err = members(s, "scope", "sha256")
		}
	}
	if err == nil {
		err = json.Unmarshal(payload, &m)
	}
	switch {
	case err != nil:
		return m, errors.New("manifest: not the claims of a manifest") // a decoder's error quotes them
	case m.Version != manifestVersion:
		return m, fmt.Errorf("manifest: version %d: want %d", m.Version, manifestVersion)
	}
	return m, nil
}

// members reads an object that has exactly these names. Only then may encoding/json fill a struct from it: it would
// also take "JTI" for "jti", and drop what it does not know.
func members(object []byte, names ...string) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := m[name]; !ok || len(m) != len(names) {
			return nil, errors.New("names")
		}
	}
	return m, nil
}

// holdsFor are the checks 3 to 5 of verifyManifest.
func (m manifestClaims) holdsFor(jti string, tokens map[string]Token, expires time.Time) error {
	switch {
	case m.JTI != jti:
		return errors.New("manifest: jti is not the key of the record")
	case m.ClientID == "":
		return errors.New("manifest: no client")
	case m.Expires != expires.Unix():
		return errors.New("manifest: exp is not the expiry of the record")
	case len(m.Shares) != len(tokens):
		return errors.New("manifest: shares and tokens differ in number")
	}
	for audience, token := range tokens {
		if m.Shares[audience].SHA256 != tokenHash(token) { // "" for a share that is not there
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
