package configs

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/verifier"
)

// maxSealedClaims bounds, in bytes of JSON, what a service that gets encrypted JWTs can see of a client's claims: a JWE is
// half as long again as what is in it, and has to fit where a JWT has to.
const maxSealedClaims = maxClaims / 2

// sealingAlgorithms are how a JWT can be encrypted.
var sealingAlgorithms = []string{verifier.ECDHES, verifier.ECDHESA256KW, verifier.RSAOAEP256}

// What package verifier takes for the kid of a key.
const (
	keyIDLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	maxKeyID     = 128
)

// checkVisible: a name that every JWT has is never hidden and need not be listed; and one that nobody sets is more often a
// slip than a plan.
func (b *builder) checkVisible(audience string, claims []string) {
	seen := map[string]bool{}
	for i, claim := range claims {
		at, ok := b.placed("audiences", audience, "claims", i)
		folded := strings.ToLower(strings.ToUpper(claim))
		switch {
		case !ok:
		case claim == "" || slices.Contains(reservedClaims, folded):
			b.doc.fault(at.node, "%s: %q is decided by the issuer, and every service sees it or none; list other claims", at.label, at.shown)
		case seen[folded]:
			b.doc.fault(at.node, "%s: %q is listed already; keep one", at.label, at.shown)
		case !b.isSet(claim):
			b.doc.warn(at.node, "%s: no client has a claim %q and no trusted issuer maps one, so the service never sees it", at.label, at.shown)
		}
		seen[folded] = true
	}
}

// isSet: somebody gives the claim to some token.
func (b *builder) isSet(claim string) bool {
	for _, c := range b.file.Clients {
		if _, has := c.Claims[claim]; has {
			return true
		}
	}
	for _, t := range b.file.TrustedIssuers {
		if _, maps := t.Claims[claim]; maps {
			return true
		}
	}
	return false
}

func (b *builder) checkEncrypt(audience string, e EncryptSection) {
	at := func(key string) []any { return []any{"audiences", audience, "encrypt", key} }
	var sources []string
	for _, key := range []string{"key_file", "jwks_file", "jwks_url"} {
		if b.doc.find(at(key)...) != nil {
			sources = append(sources, key)
		}
	}
	switch {
	case len(sources) == 0:
		b.need("the JWTs are encrypted to a public key of the service; name it by key_file, jwks_file or jwks_url", at("key_file")...)
	case len(sources) > 1:
		b.faultAt(at(sources[1]), "excludes %s; keep one of them", sources[0])
	}
	if b.set(at("algorithm")...) && !slices.Contains(sealingAlgorithms, e.Algorithm) {
		b.faultAt(at("algorithm"), "%q is not in this version; use %s", b.shown(at("algorithm")...), strings.Join(sealingAlgorithms, ", "))
	}
	if b.set(at("encryption")...) && e.Encryption != "A256GCM" {
		b.faultAt(at("encryption"), "%q is not in this version; use A256GCM", b.shown(at("encryption")...))
	}
	if odd := func(r rune) bool { return !strings.ContainsRune(keyIDLetters, r) }; b.set(at("kid")...) && (e.KID == "" || len(e.KID) > maxKeyID || strings.ContainsFunc(e.KID, odd)) {
		b.faultAt(at("kid"), "%q cannot name a key: use 1 to %d characters of A-Z a-z 0-9 - _", b.shown(at("kid")...), maxKeyID)
	}
	if b.set(at("jwks_url")...) {
		b.checkHTTP(e.JWKSURL, true, at("jwks_url")...)
	}
	switch {
	case !b.set(at("ca_file")...):
	case e.JWKSURL == "":
		b.faultAt(at("ca_file"), "has no effect without jwks_url: nothing is fetched; remove it")
	case strings.HasPrefix(e.JWKSURL, "http:"):
		b.faultAt(at("ca_file"), "has no effect when keys are fetched over http; use https, or remove it")
	}
}

// checkSealedClaims: what does not fit into a JWE is found here and not by a client's first request.
func (b *builder) checkSealedClaims() {
	for _, id := range slices.Sorted(maps.Keys(b.file.Clients)) {
		c := b.file.Clients[id]
		for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
			a := b.file.Audiences[audience]
			seen := maps.Clone(c.Claims)
			if listed := b.visible(audience, a.Claims); listed != nil {
				maps.DeleteFunc(seen, func(claim string, _ any) bool { return !slices.Contains(listed, claim) })
			}
			text, err := json.Marshal(seen)
			if a.Encrypt == nil || err != nil || len(text) <= maxSealedClaims {
				continue
			}
			b.doc.fault(b.doc.key("clients", id, "claims"), "clients.%s.claims: audience %q sees more than %d bytes of them as JSON, so that an encrypted JWT would not fit; shorten them, or list in audiences.%s.claims what it needs",
				word(id), clip(audience), maxSealedClaims, word(audience))
		}
	}
}
