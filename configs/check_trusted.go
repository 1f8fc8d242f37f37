package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer/trust"
)

// grantTypes are those that clients may have: what the file calls them, and what requests do.
var grantTypes = map[string]string{
	"client_credentials": "client_credentials",
	"token-exchange":     "urn:ietf:params:oauth:grant-type:token-exchange",
	"jwt-bearer":         "urn:ietf:params:oauth:grant-type:jwt-bearer",
	"refresh_token":      "refresh_token",
}

func wireNames(grants []string) []string {
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = grantTypes[g]
	}
	return names
}

func (b *builder) checkExchange(id string, c ClientSection) {
	path := []any{"clients", id, "exchange"}
	if !b.set(path...) {
		return
	}
	if !slices.Contains(c.GrantTypes, "token-exchange") {
		b.faultAt(path, "has no effect without the grant type; add token-exchange to grant_types, or remove it")
	}
	for i, other := range c.Exchange.References {
		if at, ok := b.placed("clients", id, "exchange", "references", i); ok {
			b.clientNamed(other, at)
		}
	}
	if c.Exchange.JWTs && len(c.Serves) == 0 {
		b.faultAt(append(path, "jwts"), "is about the JWTs that a service receives; say in serves which audience the client is the service of")
	}
}

func (b *builder) clientNamed(id string, at placed) bool {
	if _, ok := b.file.Clients[id]; ok {
		return true
	}
	b.doc.fault(at.node, "%s: there is no client %q%s", at.label, at.shown, didYouMean(id, slices.Collect(maps.Keys(b.file.Clients))))
	return false
}

func (b *builder) checkTrustedIssuers() {
	known := map[string]string{}
	for _, alias := range slices.Sorted(maps.Keys(b.file.TrustedIssuers)) {
		t := b.file.TrustedIssuers[alias]
		at := func(key ...any) []any { return append([]any{"trusted_issuers", alias}, key...) }
		if b.section(at()...) == nil {
			b.need("name the exact iss of its tokens", at("issuer")...)
			continue
		}
		b.need("name the exact iss of its tokens", at("issuer")...)
		b.need("name what its tokens must be made out to (aud)", at("audience")...)
		b.need("list what it signs with, such as [RS256]", at("algorithms")...)
		b.need("list what the header of its tokens says, such as [JWT] or [at+jwt]", at("typ")...)
		b.need("list the clients that may bring its tokens", at("clients")...)
		if other, again := known[t.Issuer]; again && t.Issuer != "" {
			b.faultAt(at("issuer"), "is trusted as %q already; an issuer has one alias", clip(other))
		}
		if t.Issuer != "" && t.Issuer == b.file.Issuer {
			b.faultAt(at("issuer"), "is the issuer of this file, whose JWTs are exchanged by clients.NAME.exchange; name another")
		}
		known[t.Issuer] = alias
		b.checkForeignKeys(t, at)
		b.checkForeignWords(t, at)
		for i, id := range t.Clients {
			place, ok := b.placed(at("clients", i)...)
			if ok && b.clientNamed(id, place) && !slices.ContainsFunc(b.file.Clients[id].GrantTypes, func(g string) bool { return g == "token-exchange" || g == "jwt-bearer" }) {
				b.doc.fault(place.node, "%s: %q has neither of the grant types token-exchange and jwt-bearer; add one to it", place.label, place.shown)
			}
		}
	}
}

func (b *builder) checkForeignKeys(t TrustedIssuerSection, at func(...any) []any) {
	switch url, file := b.set(at("jwks_url")...), b.set(at("jwks_file")...); {
	case url && file:
		b.faultAt(at("jwks_file"), "excludes jwks_url; keep one of them")
	case url:
		b.checkHTTP(t.JWKSURL, true, at("jwks_url")...)
	case !file:
		b.need("say where it publishes its keys", at("jwks_url")...)
	}
	if b.set(at("ca_file")...) && !strings.HasPrefix(t.JWKSURL, "https:") {
		b.faultAt(at("ca_file"), "has no effect when keys are not fetched over https; use an https jwks_url, or remove it")
	}
	for i, a := range t.Algorithms {
		if place, ok := b.placed(at("algorithms", i)...); ok && !slices.Contains(trust.Algorithms(), a) {
			b.doc.fault(place.node, "%s: %q is not accepted; use %s", place.label, place.shown, strings.Join(trust.Algorithms(), ", "))
		}
	}
}

func (b *builder) checkForeignWords(t TrustedIssuerSection, at func(...any) []any) {
	for _, name := range slices.Sorted(maps.Keys(t.Claims)) {
		if name == "" || slices.Contains(reservedClaims, strings.ToLower(strings.ToUpper(name))) {
			b.doc.fault(b.doc.key(at("claims", name)...), "%s: %q is decided by the issuer; choose another name", labelOf(at("claims")...), clip(name))
		}
	}
	if t.Leeway < 0 || time.Duration(t.Leeway) > time.Minute {
		b.faultAt(at("leeway"), "is more than 60s; set the clocks right instead")
	}
	if b.set(at("max_age")...) && t.MaxAge < Duration(time.Second) {
		b.faultAt(at("max_age"), "is less than 1s; write how old a token may be, such as 2h")
	}
	for _, key := range []string{"algorithms", "typ", "clients"} {
		list := map[string][]string{"algorithms": t.Algorithms, "typ": t.Typ, "clients": t.Clients}[key]
		if b.set(at(key)...) && len(list) == 0 {
			b.faultAt(at(key), "is empty, so that no token would be accepted; list at least one")
		}
	}
	if alias := fmt.Sprint(at()[1]); !trust.ValidAlias(alias) {
		b.doc.fault(b.doc.key(at()...), "%q is no alias: use up to 32 of a-z, 0-9 and -, and not \"client\"", clip(alias))
	}
}
