package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/keyring"
)

// tokenType is the `typ` of an access token (RFC 9068 §2.1).
const tokenType = "at+jwt"

// grant is what has been decided and is about to be signed. All its tokens share jti and times, and so do manifest
// and record: exp is one value, in whole seconds.
type grant struct {
	client   *clients.Known
	basis    basis
	shares   []share
	jti      string
	issuedAt time.Time
	expires  time.Time
	since    exchange.Since // what is revoked later refuses the deposit
	origin   string         // sealed; empty: nothing will be derived from it
}

// mint signs one JWT per audience, and the manifest that says which they are.
func (i *Issuer) mint(ctx context.Context, r *keyring.Ring, g grant) (exchange.Deposit, error) {
	key := r.Active()
	handles := g.basis.handles(newIndexKeys(i.sealing)[0], g.client.ID, g.jti)
	manifest := exchange.Manifest{
		Issuer: i.place.issuer, JTI: g.jti, ClientID: g.client.ID, Handles: handles,
		IssuedAt: g.issuedAt, ExpiresAt: g.expires, Shares: make(map[string]exchange.ManifestShare, len(g.shares)),
	}
	if err := i.addOrigin(&g, &manifest); err != nil {
		return exchange.Deposit{}, err
	}
	tokens := make(map[string]exchange.Token, len(g.shares))
	for _, s := range g.shares {
		text, err := i.token(ctx, key, g, s, handles)
		if err != nil {
			return exchange.Deposit{}, err
		}
		tokens[s.audience] = exchange.NewToken(text)
		manifest.Shares[s.audience] = exchange.ManifestShare{Scopes: s.scopes, SHA256: sha256.Sum256([]byte(text))}
	}

	payload, err := json.Marshal(manifest.Claims())
	if err != nil {
		return exchange.Deposit{}, fmt.Errorf("issuer: encode manifest: %w", err)
	}
	signed, err := key.Sign(exchange.ManifestType, payload)
	if err != nil {
		return exchange.Deposit{}, err
	}
	return exchange.Deposit{
		Manifest: signed, Tokens: tokens, IssuedAt: g.issuedAt, ExpiresAt: g.expires, KeyID: key.ID(),
		Handles: handles, Since: g.since, MaxGrants: g.client.MaxGrants, MaxBytes: g.client.MaxBytes,
	}, nil
}

// token signs the JWT of one audience, and encrypts it when its service asks for that.
func (i *Issuer) token(ctx context.Context, key *keyring.Key, g grant, s share, h exchange.Handles) (string, error) {
	claims, err := i.claims(g, s, h)
	if err != nil {
		return "", err
	}
	text, err := key.Sign(tokenType, claims)
	if e := i.register.services[s.audience].envelope; err == nil && e != nil {
		text, err = e.Wrap(ctx, text)
	}
	if err != nil {
		return "", err
	}
	if len(text) > exchange.MaxToken && g.originFor(s.audience, i.register.derived) != "" {
		g.origin = "" // the service gets its token, and cannot exchange it
		return i.token(ctx, key, g, s, h)
	}
	if len(text) > exchange.MaxToken {
		// Only the claims beside ours can be that long.
		return "", fmt.Errorf("issuer: token is too large: client %s, audience %s: %d bytes, at most %d: shorten the client's claims, or list fewer for the audience",
			g.client.ID, s.audience, len(text), exchange.MaxToken)
	}
	return text, nil
}

// accessClaims are the claims of an access token (RFC 9068 §2.2) and our handles. The names are clients.ReservedClaims'.
type accessClaims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"`
	Audience string           `json:"aud"` // one string, never a list
	ClientID string           `json:"client_id"`
	IssuedAt int64            `json:"iat"`
	Expires  int64            `json:"exp"`
	JTI      string           `json:"jti"`
	Scope    string           `json:"scope,omitempty"`
	Act      *actor           `json:"act,omitempty"`
	Handles  exchange.Handles `json:"handles"`
	Origin   string           `json:"origin,omitempty"` // for issuers alone
}

// claims of one audience's token: ours, and behind them those that its service may see. No name is there twice, because none
// of theirs is reserved.
func (i *Issuer) claims(g grant, s share, h exchange.Handles) ([]byte, error) {
	own, err := json.Marshal(accessClaims{
		Issuer: i.place.issuer, Subject: g.basis.subject, Audience: s.audience, ClientID: g.client.ID,
		IssuedAt: g.issuedAt.Unix(), Expires: g.expires.Unix(), JTI: g.jti,
		Scope: strings.Join(s.scopes, " "), Act: g.basis.act, Handles: h, Origin: g.originFor(s.audience, i.register.derived),
	})
	if err != nil {
		return nil, fmt.Errorf("issuer: encode claims: %w", err)
	}
	own, err = appendClaims(own[:len(own)-1], i.register.services[s.audience].visible(g.client.Extra, g.basis.claims))
	if err != nil {
		return nil, fmt.Errorf("issuer: encode claims: %w", err)
	}
	return append(own, '}'), nil
}
