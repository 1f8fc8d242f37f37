// Package trust knows the issuers beside our own whose word is taken for who somebody is: a company's identity provider,
// where its people log in.
//
// # What it promises
//
//   - A token counts only as the one that was configured: its `iss`, `aud` and typ exactly, its `azp` if parties are named,
//     under an algorithm that is listed, no older than it may be. Nothing of that can be left out but the parties.
//   - Keys come from where the configuration says. The token's own words (jku, x5u, jwk) are never followed, and who has no
//     key for it is asked for at most one fetch by package verifier, which bounds it in time and size.
//   - "Its keys cannot be had" is verifier.ErrKeysUnavailable, and never the token's fault; all else is verifier.ErrInvalid.
//   - What a foreign issuer calls somebody begins here with its alias and a colon, so that two issuers never speak of the
//     same subject, and none of them of a client. What it says beside that arrives under names that the operator chose,
//     never under one that means something to us, and is at most 2 KiB.
//   - A token that is bound to a key (RFC 7800) or made out to somebody who acts for another (RFC 8693 §4.1) is refused:
//     accepted as a mere bearer's word it would say more than its issuer did.
package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// Config is one trusted issuer.
type Config struct {
	Issuer   string // the exact `iss`. Required
	Audience string // what its tokens must be made out to: one of `aud`. Required
	// Exactly one of KeySet, a JWKS, and JWKSURL, from where it is fetched.
	KeySet            []byte
	JWKSURL           string
	Client            *http.Client  // for JWKSURL; nil: as verifier.JWKSConfig.Client
	InsecurePlaintext bool          // of JWKSURL beyond loopback
	Cooldown          time.Duration // between two fetches for unknown keys; 0: as verifier.JWKSConfig.Cooldown
	// Algorithms that are accepted, of ES256, EdDSA, RS256 and PS256. A published key that names none is used with the
	// first that fits it. Required.
	Algorithms []string
	// Types of its tokens, as the header `typ` says them; "": a token without one. Required.
	Types []string
	// Parties are who its tokens may have been issued to (`azp`). Empty: `azp` is not looked at.
	Parties []string
	// Claims maps our names to its own: a name at the top, or with a slash at its beginning a path (RFC 6901) through
	// objects. What a token does not have is left out.
	Claims map[string]string
	MaxAge time.Duration // since `iat`, which is required; default 2 h
	Leeway time.Duration // for clocks that differ; 0 to 60 s
}

const (
	// MaxToken bounds a foreign token, in bytes.
	MaxToken = 8 << 10
	// MaxClaims bounds what is mapped out of one, in bytes of JSON.
	MaxClaims = 2 << 10
	// maxSubject bounds what somebody is called here: so long a name can still be revoked.
	maxSubject = 256

	defaultMaxAge = 2 * time.Hour
)

// Algorithms are those that can be listed. Each is asymmetric: with a secret of both, either could speak for the other.
func Algorithms() []string { return []string{"ES256", "EdDSA", "RS256", "PS256"} }

// Issuer is one trusted issuer. It is safe for concurrent use and starts nothing that must be stopped.
type Issuer struct {
	alias   string
	config  Config
	keys    verifier.KeySource
	mapping mapping
}

var aliasForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// ValidAlias reports whether an alias can be one: up to 32 of a-z, 0-9 and -, and not "client", whose subjects are ours.
func ValidAlias(alias string) bool { return aliasForm.MatchString(alias) && alias != "client" }

// New checks everything that can be checked without a network, and says all that is wrong. Nothing is mapped to a name in
// reserved, nor to one that differs from it in case alone.
func New(alias string, c Config, reserved []string) (*Issuer, error) {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(ValidAlias(alias), "not an alias: use up to 32 of a-z, 0-9 and -, and not \"client\"")
	require(c.Issuer != "", "no issuer: name the exact iss of its tokens")
	require(c.Audience != "", "no audience: name what its tokens must be made out to")
	require(len(c.Algorithms) > 0, "no algorithms: list those that it signs with, such as RS256")
	for _, a := range c.Algorithms {
		require(slices.Contains(Algorithms(), a), "algorithm %q is not accepted: use %s", a, strings.Join(Algorithms(), ", "))
	}
	require(len(c.Types) > 0, "no typ: list what the header of its tokens says, such as JWT or at+jwt")
	require(c.MaxAge >= 0, "max age %v is below 0", c.MaxAge)
	require(c.Leeway >= 0 && c.Leeway <= time.Minute, "leeway %v is not between 0 and 60 s", c.Leeway)
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	i := &Issuer{alias: alias, config: c}
	var err error
	if i.mapping, err = newMapping(c.Claims, reserved); err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 { // keys are only asked for by what is whole
		if i.keys, err = c.keySource(); err != nil {
			faults = append(faults, err)
		}
	}
	return i, errors.Join(faults...)
}

func (c Config) keySource() (verifier.KeySource, error) {
	if (len(c.KeySet) > 0) == (c.JWKSURL != "") {
		return nil, errors.New("no keys, or two places for them: set a key set or the URL of one")
	}
	if len(c.KeySet) > 0 {
		return verifier.ParseJWKS(c.KeySet, c.Algorithms...)
	}
	return verifier.NewJWKS(verifier.JWKSConfig{
		URL: c.JWKSURL, Client: c.Client, Algorithms: c.Algorithms, Cooldown: c.Cooldown, InsecurePlaintext: c.InsecurePlaintext,
	})
}

// Alias is what the issuer is called here.
func (i *Issuer) Alias() string { return i.alias }

// Name is the exact `iss` of its tokens.
func (i *Issuer) Name() string { return i.config.Issuer }

// Claims are the names that its mapping can set, sorted.
func (i *Issuer) Claims() []string { return i.mapping.names() }

// Assertion is what a verified token of a trusted issuer says, in our words.
type Assertion struct {
	Subject string // alias:sub
	Claims  map[string]json.RawMessage
	MayAct  *Actor // who alone may act for the subject; nil: the token does not say
	JTI     string // empty: it has none
	Expires time.Time
}

// Verify checks a token and translates it. In this order, and the first failure ends it: what package verifier checks
// (verifier.Verify lists it), typ, age, azp, what it is bound to, the subject, the mapping. The errors are
// verifier.ErrInvalid and verifier.ErrKeysUnavailable; they hold nothing of the token. It may wait for one fetch of keys.
func (i *Issuer) Verify(ctx context.Context, raw string, now time.Time) (Assertion, error) {
	expect := verifier.Expect{Issuer: i.config.Issuer, Audience: i.config.Audience, Leeway: i.config.Leeway, MaxBytes: MaxToken}
	typ := Say(raw).Type
	if !slices.ContainsFunc(i.config.Types, func(t string) bool { return strings.EqualFold(t, typ) }) {
		return Assertion{}, invalid("its typ is not one of those configured")
	}
	expect.Type, expect.Untyped = typ, typ == ""
	payload, err := verifier.Signed(ctx, i.keys, raw, expect, now)
	if err != nil {
		return Assertion{}, err
	}
	var c claims
	if err := json.Unmarshal(payload, &c.all); err != nil {
		return Assertion{}, invalid("its payload is not a JSON object")
	}
	return i.translate(c, now)
}

// translate says in our words what a token says whose signature holds.
func (i *Issuer) translate(c claims, now time.Time) (a Assertion, err error) {
	issued, ok := c.moment("iat")
	switch azp, _ := c.text("azp"); {
	case !ok:
		return Assertion{}, invalid("its iat is missing")
	case now.Sub(issued) > i.config.MaxAge+i.config.Leeway:
		return Assertion{}, invalid("it is older than max_age")
	case len(i.config.Parties) > 0 && !slices.Contains(i.config.Parties, azp):
		return Assertion{}, invalid("its azp is not one of those configured")
	case c.has("cnf"):
		return Assertion{}, invalid("it is bound to a key (cnf), and is not accepted from a mere bearer")
	case c.has("act"):
		return Assertion{}, invalid("it is made out to an actor (act) of another issuer")
	}
	if a.Subject, err = i.subject(c); err != nil {
		return Assertion{}, err
	}
	if a.MayAct, err = i.mayAct(c); err != nil {
		return Assertion{}, err
	}
	a.JTI, _ = c.text("jti")
	a.Expires, _ = c.moment("exp") // there: package verifier has asked for it
	a.Claims, err = i.mapping.apply(c)
	return a, err
}
