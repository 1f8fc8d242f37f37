package issuer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/golang-jwt/jwt/v5"
)

// tokenType is the `typ` of an access token (RFC 9068 §2.1).
const tokenType = "at+jwt"

// errTokenTooLarge: a JWT is over its cap, which only the configured claims can cause.
var errTokenTooLarge = errors.New("issuer: token is too large")

// grant is what has been decided and is about to be signed. All its tokens share jti and times, and so do manifest
// and record: exp is one value, in whole seconds.
type grant struct {
	client   *client
	shares   []share
	jti      string
	issuedAt time.Time
	expires  time.Time
}

// mint signs one JWT per audience, and the manifest that says which they are.
func (i *Issuer) mint(r *ring, g grant) (exchange.Deposit, error) {
	key := r.in(active)
	// "client:" keeps a client from ever having the name of a user (RFC 9068 §5).
	subject := "client:" + g.client.id
	index := r.index()
	handles := index.of(g.client.id, subject, g.jti)
	manifest := exchange.Manifest{
		Issuer: i.place.issuer, JTI: g.jti, ClientID: g.client.id, Handles: handles,
		IssuedAt: g.issuedAt, ExpiresAt: g.expires, Shares: make(map[string]exchange.ManifestShare, len(g.shares)),
	}
	tokens := make(map[string]exchange.Token, len(g.shares))
	for _, s := range g.shares {
		text, err := key.sign(tokenType, i.claims(g, s, subject, handles))
		if err != nil {
			return exchange.Deposit{}, err
		}
		if len(text) > exchange.MaxToken {
			return exchange.Deposit{}, fmt.Errorf("%w: client %s, audience %s: %d bytes, at most %d: shorten the client's claims",
				errTokenTooLarge, g.client.id, s.audience, len(text), exchange.MaxToken)
		}
		tokens[s.audience] = exchange.NewToken(text)
		manifest.Shares[s.audience] = exchange.ManifestShare{Scopes: s.scopes, SHA256: sha256.Sum256([]byte(text))}
	}

	signed, err := key.sign(exchange.ManifestType, manifest.Claims())
	if err != nil {
		return exchange.Deposit{}, err
	}
	return exchange.Deposit{
		Manifest: signed, Tokens: tokens, IssuedAt: g.issuedAt, ExpiresAt: g.expires, KeyID: key.id,
		Handles: handles, MaxGrants: g.client.quota.grants, MaxBytes: g.client.quota.bytes,
	}, nil
}

// claims of one audience's token (RFC 9068 §2.2). The configured ones come first, so that even a name that slipped
// through freezeClaims could not replace one of ours.
func (i *Issuer) claims(g grant, s share, subject string, h exchange.Handles) jwt.MapClaims {
	c := make(jwt.MapClaims, len(g.client.claims)+9)
	for name, value := range g.client.claims {
		c[name] = value
	}
	c["iss"] = i.place.issuer
	c["sub"] = subject
	c["aud"] = s.audience // one string, never a list
	c["client_id"] = g.client.id
	c["iat"] = g.issuedAt.Unix()
	c["exp"] = g.expires.Unix()
	c["jti"] = g.jti
	if len(s.scopes) > 0 {
		c["scope"] = strings.Join(s.scopes, " ")
	}
	c["handles"] = map[string]string{"client": h.Client, "family": h.Family, "subject": h.Subject}
	return c
}

// sign makes a JWS of one class; typ keeps the classes apart (RFC 8725 §3.11).
func (k *signingKey) sign(typ string, claims map[string]any) (string, error) {
	t := jwt.Token{
		Header: map[string]any{"typ": typ, "alg": algorithm, "kid": k.id},
		Method: jwt.SigningMethodES256,
		Claims: jwt.MapClaims(claims),
	}
	text, err := t.SignedString(k.private())
	if err != nil {
		return "", fmt.Errorf("issuer: sign %s: %w", typ, err)
	}
	return text, nil
}
