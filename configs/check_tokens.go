package configs

import (
	"regexp"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer/keyring"
)

const (
	defaultTTL    = 10 * time.Minute
	leastRotation = time.Hour
	defaultRotate = 30 * 24 * time.Hour
)

var tokenPrefix = regexp.MustCompile(`^[a-z0-9]{2,12}$`)

func (b *builder) checkTokens() {
	t := b.file.Tokens
	if b.set("tokens", "prefix") && !tokenPrefix.MatchString(t.Prefix) {
		b.faultAt([]any{"tokens", "prefix"}, "%q: use 2 to 12 of a-z and 0-9, such as cck", b.shown("tokens", "prefix"))
	}
	b.checkLife(t.TTL, "tokens", "ttl")
	b.checkLife(t.MaxTTL, "tokens", "max_ttl")
	if b.set("tokens", "max_ttl") && t.MaxTTL > 0 && t.MaxTTL < Duration(b.ttl()) && b.livesRead() {
		b.faultAt([]any{"tokens", "max_ttl"}, "is shorter than tokens.ttl (%v), so that edges would refuse live references; raise it", b.ttl())
	}
	b.checkSecret("stamp_keys", "tokens")
	if b.doc.find("tokens", "stamp_keys") == nil {
		b.need("without stamp keys no reference of ours is known; make one with `"+makeKey+"`", "tokens", "stamp_keys_file")
	}
	b.checkKeys()
}

func (b *builder) checkKeys() {
	k := b.file.Keys
	if b.set("keys", "algorithm") && keyring.CheckAlgorithm(k.Algorithm) != nil {
		b.faultAt([]any{"keys", "algorithm"}, "%q is not known; use ES256, EdDSA, RS256 or PS256", b.shown("keys", "algorithm"))
	}
	if r := k.RotateEvery; r != nil && *r != 0 && time.Duration(*r) < leastRotation {
		b.faultAt([]any{"keys", "rotate_every"}, "is shorter than 1h, so that a next key would sign before services know it; use 30d, or 0 for never")
	}
	b.checkSecret("encryption_key", "keys")
	if b.role.issuer() && b.doc.find("keys", "encryption_key") == nil {
		b.need("without it the signing keys cannot be kept; make one with `"+makeKey+"`", "keys", "encryption_key_file")
	}
	if b.set("keys", "jwks_url") {
		b.checkHTTP(k.JWKSURL, true, "keys", "jwks_url")
		if b.set("keys", "jwks_file") {
			b.faultAt([]any{"keys", "jwks_file"}, "excludes keys.jwks_url; keep one of them")
		}
	}
	b.checkKeysAuthority(k)
}

// checkKeysAuthority: an authority that is never asked would look like protection.
func (b *builder) checkKeysAuthority(k KeysSection) {
	path := []any{"keys", "ca_file"}
	from := b.file.Issuer
	if k.JWKSURL != "" {
		from = k.JWKSURL
	}
	switch {
	case !b.set(path...):
	case b.set("keys", "jwks_file"):
		b.faultAt(path, "has no effect with keys.jwks_file, which is fetched from nowhere; remove it")
	case strings.HasPrefix(from, "http:"):
		b.faultAt(path, "has no effect when keys are fetched over http; use https, or remove it")
	}
}

// checkLife: JWTs count whole seconds, and a life of 0 is never meant.
func (b *builder) checkLife(d Duration, path ...any) {
	if b.set(path...) && (d < Duration(time.Second) || time.Duration(d)%time.Second != 0) {
		b.faultAt(path, "must be whole seconds, at least 1s, such as 10m")
	}
}

// ttl is the life of a reference whose client does not say otherwise.
func (b *builder) ttl() time.Duration {
	if b.file.Tokens.TTL > 0 {
		return time.Duration(b.file.Tokens.TTL)
	}
	return defaultTTL
}

func (b *builder) maxTTL() time.Duration {
	return max(time.Duration(b.file.Tokens.MaxTTL), b.ttl())
}

// livesRead: neither life is broken, so that comparing with them makes sense.
func (b *builder) livesRead() bool {
	return !b.doc.unread[b.doc.find("tokens", "ttl")] && !b.doc.unread[b.doc.find("tokens", "max_ttl")]
}
