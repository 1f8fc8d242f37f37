package exchange

import (
	"bytes"
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
	Origin    string                   // for issuers alone, sealed by them: what the grant rests on; empty: nothing may be derived from it
}

// ManifestShare is one audience's part of a grant.
type ManifestShare struct {
	Scopes []string
	SHA256 [sha256.Size]byte // of that audience's token
}

// Claims are the JWT claims of the manifest, ready for the issuer to sign: these and no others, as encoding/json writes
// them.
func (m Manifest) Claims() map[string]any {
	shares := make(map[string]shareClaims, len(m.Shares))
	for audience, s := range m.Shares {
		shares[audience] = shareClaims{
			Scope:  strings.Join(s.Scopes, " "),
			SHA256: base64.RawURLEncoding.EncodeToString(s.SHA256[:]),
		}
	}
	claims := map[string]any{
		"aud":       ManifestAudience,
		"client_id": m.ClientID,
		"exp":       m.ExpiresAt.Unix(),
		"handles":   m.Handles,
		"iat":       m.IssuedAt.Unix(),
		"iss":       m.Issuer,
		"jti":       m.JTI,
		"shares":    shares,
		"version":   manifestVersion,
	}
	if m.Origin != "" {
		claims["origin"] = m.Origin
	}
	return claims
}

// manifestClaims is the payload of a manifest as it is read. The order of the fields is that of the names, in which
// encoding/json writes the map of Claims: see readManifest.
type manifestClaims struct {
	Audience string                 `json:"aud"`
	ClientID string                 `json:"client_id"`
	Expires  int64                  `json:"exp"`
	Handles  Handles                `json:"handles"`
	IssuedAt int64                  `json:"iat"`
	Issuer   string                 `json:"iss"`
	JTI      string                 `json:"jti"`
	Origin   string                 `json:"origin,omitempty"`
	Shares   map[string]shareClaims `json:"shares"`
	Version  int                    `json:"version"`

	keyID string // not a claim: the key under which the signature holds
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
//  2. version 1, and nothing but what version 1 has, written as it is written
//  3. jti is the key of the record, client_id and all handles are there: what has no name cannot be revoked
//  4. exp is the expiry that was sealed beside the manifest
//  5. the audiences of the shares are exactly those of the tokens, and each token has its share's hash
func (x *Exchange) verifyManifest(ctx context.Context, jti string, c contents, expires, now time.Time) (manifestClaims, error) {
	keys := &askedKey{KeySource: x.keys}
	payload, err := verifier.Signed(ctx, keys, c.manifest, verifier.Expect{
		Type:     ManifestType,
		Issuer:   x.issuer,
		Audience: ManifestAudience,
		MaxBytes: maxManifest,
	}, now)
	switch {
	case x.revocations.KeyRevoked(keys.id): // whatever the key set says of it
		return manifestClaims{}, refuse(ReasonKeyRevoked, err)
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
	m.keyID = keys.id
	return m, nil
}

// askedKey notes the id of the key that one verification asks for: the only one under which its signature can hold.
type askedKey struct {
	verifier.KeySource
	id string
}

func (a *askedKey) Key(ctx context.Context, id string) (verifier.Key, error) {
	a.id = id
	return a.KeySource.Key(ctx, id)
}

// readManifest is strict: what it has read it writes again, and compares. Nothing that encoding/json forgives comes back
// the same: a claim that version 1 does not have (it may be one that must not be ignored), a name twice or in another
// case, a null, broken UTF-8.
func readManifest(payload []byte) (m manifestClaims, err error) {
	if err := json.Unmarshal(payload, &m); err != nil {
		return m, errors.New("manifest: not the claims of a manifest") // the decoder's error would quote them
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("manifest: version %d: want %d", m.Version, manifestVersion)
	}
	if again, err := json.Marshal(m); err != nil || !bytes.Equal(again, payload) {
		return m, errors.New("manifest: not as version 1 is written")
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
	case m.Handles.Client == "" || m.Handles.Family == "" || m.Handles.Subject == "":
		return errors.New("manifest: a handle is missing")
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
