// Package verifier is what internal services import to verify the JWTs that Coatcheck's edge sends them.
//
//	v, err := verifier.New("https://auth.example.com", "orders-api", verifier.Config{})
//	...
//	mux.Handle("GET /orders", v.Require("orders:read")(orders))
//
// A handler behind Require finds the claims with FromContext. Gin services use package ginverifier.
//
// What the room promises:
//   - Nothing is optional. Without an issuer or an audience there is no Verifier; a token without one of iss,
//     aud, exp, iat, sub, client_id and jti is refused.
//   - The key decides the algorithm, the configuration decides where keys come from, and a token decides nothing:
//     its alg must be that of its key, its kid is only looked up, its jku, jwk, x5u and x5c are not read.
//   - A class of token passes only as itself (the typ header), so no manifest, introspection answer, proof or
//     assertion of the same issuer is an access token (RFC 8725 §3.11).
//   - The work is linear in the size of the token, and the size is bounded before anything is parsed.
//   - Keys that were good stay good while the issuer is away. Junk tokens cannot make a service hammer it.
//   - "I cannot tell" is not "no": ErrKeysUnavailable is a 503, ErrInvalid a 401.
//
// A Verifier starts nothing that must be stopped. The package imports the standard library, golang-jwt (for the
// signatures) and go-jose (for JWK and JWE), and nothing else. It logs nothing: Config.OnRefused says why a request was refused.
package verifier

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// accessTokenType is the typ of an access token (RFC 9068 §2.1).
const accessTokenType = "at+jwt"

// Config configures a Verifier. The zero value discovers the keys from the issuer.
type Config struct {
	Keys              KeySource     // nil: a JWKS discovered from the issuer
	JWKSURL           string        // with Keys nil: fetch here instead of discovering
	Client            *http.Client  // with Keys nil: fetch with this, as JWKSConfig.Client; for a private CA, give its Transport RootCAs
	Leeway            time.Duration // for exp and nbf; 0 to 60 s; default 0
	Realm             string        // in challenges; default: the audience
	InsecurePlaintext bool          // accept an http:// issuer or JWKSURL beyond loopback
	// Decryption are the private keys of a service whose tokens the issuer encrypts; with them a token that is not
	// encrypted is refused. Several, while one replaces the other: keep the old one until the last token that was
	// encrypted to it has expired. None: tokens come signed alone, and an encrypted one is refused.
	Decryption []DecryptionKey
	// AcceptUnencrypted takes both kinds, for the time of a change from one to the other.
	AcceptUnencrypted bool
	// OnRefused hears of each request that Authenticate refuses, so of those that Require and ginverifier answer, on
	// the request's own goroutine before the answer; nil: nobody does. The client is told little, err says exactly why
	// and is safe to log: it never holds the token. r does, in its Authorization field: do not log its header.
	OnRefused func(r *http.Request, err error)
}

// Verifier verifies access tokens (RFC 9068) for one audience. Safe for concurrent use.
type Verifier struct {
	keys    KeySource
	opener  opener
	expect  Expect
	realm   string
	refused func(*http.Request, error)
	now     func() time.Time
}

// New requires issuer and audience: an empty one is an error, never a skipped check (RFC 8725 §3.8, §3.9).
// The issuer is compared with `iss` byte for byte, and must be an https URL without query or fragment; http is
// for loopback only, unless InsecurePlaintext says otherwise. New fetches nothing.
func New(issuer, audience string, c Config) (*Verifier, error) {
	expect := Expect{Type: accessTokenType, Issuer: issuer, Audience: audience, Leeway: c.Leeway}
	if err := expect.check(); err != nil {
		return nil, err
	}
	if err := checkIssuer(issuer, c.InsecurePlaintext); err != nil {
		return nil, err
	}
	open, err := newOpener(c.Decryption, c.AcceptUnencrypted)
	if err != nil {
		return nil, err
	}
	v := &Verifier{keys: c.Keys, opener: open, expect: expect, realm: c.Realm, refused: c.OnRefused, now: time.Now}
	if v.realm == "" {
		v.realm = audience
	}
	if v.refused == nil {
		v.refused = func(*http.Request, error) {}
	}
	if v.keys != nil {
		return v, nil
	}
	keys, err := NewJWKS(JWKSConfig{URL: c.JWKSURL, Issuer: issuer, Client: c.Client, InsecurePlaintext: c.InsecurePlaintext})
	if err != nil {
		return nil, err
	}
	v.keys = keys
	return v, nil
}

// Verify checks an access token. In this order, and the first failure ends it:
//
//  1. size: at most 16 KiB
//  2. alphabet: base64url and dots, three parts, no padding, no spare bits
//  3. header: strict JSON, no crit, an alg of ours, a kid
//  4. typ: at+jwt
//  5. key: the kid is known, the alg is that of the key, the key fits the alg
//  6. signature
//  7. payload: strict JSON
//  8. iss, aud, exp, iat, nbf
//  9. required claims: iat, sub, client_id, jti; scope and handles have their form
//
// With Config.Decryption the token is opened first (at most 16 KiB, strict header, the kid of one of the keys, A256GCM, no
// compression), and what is checked like this is what was inside.
//
// The error is one of ErrInvalid (ErrExpired and ErrUnknownKey are special cases of it) and ErrKeysUnavailable.
// Verify may wait for one fetch of the keys, bounded by ctx and 5 seconds.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	signed, err := v.opener.open(raw)
	if err != nil {
		return nil, err
	}
	t, err := verifySigned(ctx, v.keys, signed, v.expect, v.now())
	if err != nil {
		return nil, err
	}
	return accessClaims(t)
}

// authorize verifies a token and asks for scopes.
func (v *Verifier) authorize(ctx context.Context, raw string, scopes []string) (*Claims, error) {
	c, err := v.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	for _, s := range scopes {
		if !c.HasScope(s) {
			return nil, &scopeError{lacks: s, needs: scopes}
		}
	}
	return c, nil
}

// scopeError is an ErrScope that remembers what the challenge must name (RFC 6750 §3.1).
type scopeError struct {
	lacks string
	needs []string
}

func (e *scopeError) Error() string { return fmt.Sprintf("%v: %q", ErrScope, e.lacks) }
func (e *scopeError) Unwrap() error { return ErrScope }
