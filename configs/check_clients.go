package configs

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// reservedClaims say who, for whom, until when, by what proof and on whose behalf (RFC 7519 §4.1, RFC 7800 §3, RFC 8693 §4,
// RFC 9068 §2.2, RFC 9396 §9, OpenID Connect Core §2), or are ours. A client that could set one would speak for somebody
// else. Compared without case, because many JSON decoders do. The issuer refuses them too; here they have a place.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "act", "may_act",
	"auth_time", "acr", "amr", "azp", "nonce", "sid", "at_hash", "c_hash", "s_hash", "events",
	"authorization_details", "token_introspection", "handles", "origin", "version", "shares",
	"active", "token_type",
}

const maxClaims = exchange.MaxToken / 2 // bytes of JSON; the rest of a JWT is the signature and our own claims

func (b *builder) checkClients() {
	for _, id := range slices.Sorted(maps.Keys(b.file.Clients)) {
		c := b.file.Clients[id]
		b.checkName("a client", "clients", id)
		if b.section("clients", id) == nil {
			b.need("every client proves who it is", "clients", id, "secret_file")
			continue
		}
		b.checkSecret("secret", "clients", id)
		b.checkProof(id, c)
		b.checkGrantTypes(id, c)
		b.checkClientAudiences(id, c)
		b.checkRefresh(id, c)
		b.checkServes(id, c)
		b.checkExchange(id, c)
		b.checkClaims(id, c)
		if b.checkLife(c.TTL, "clients", id, "ttl"); time.Duration(c.TTL) > b.maxTTL() && b.livesRead() {
			b.faultAt([]any{"clients", id, "ttl"}, "is longer than tokens.max_ttl (%v), after which edges refuse every reference; raise that, or shorten this", b.maxTTL())
		}
		if path := []any{"clients", id, "max_grants"}; b.set(path...) && c.MaxGrants < 1 {
			b.faultAt(path, "must be 1 or more; remove the client if it may have none")
		}
		if path := []any{"clients", id, "max_bytes"}; b.set(path...) && c.MaxBytes < exchange.MaxRecord {
			b.faultAt(path, "is smaller than one grant can be; use 32KiB or more")
		}
	}
}

// checkProof: how a client says who it is. Two places for one kind of proof would leave open which one counts; nothing at
// all is never read as "anybody".
func (b *builder) checkProof(id string, c ClientSection) {
	var keys []string
	for _, name := range []string{"jwks", "jwks_file", "jwks_url"} {
		if b.set("clients", id, name) {
			keys = append(keys, name)
		}
	}
	secret := b.set("clients", id, "secret") || b.set("clients", id, "secret_file") || b.set("clients", id, "secret_hash")
	if len(keys) > 1 {
		b.faultAt([]any{"clients", id, keys[1]}, "%s is set, too; keep one", keys[0])
	}
	if secret || len(keys) == 0 && !c.Public {
		b.checkOneOf("secret", "clients", id)
	}
	if c.Public && (secret || len(keys) > 0) {
		b.faultAt([]any{"clients", id, "public"}, "a public client has neither secret nor keys; remove them, or this")
	}
	if len(keys) == 0 && b.set("clients", id, "algorithms") {
		b.faultAt([]any{"clients", id, "algorithms"}, "is about keys, and there are none; add jwks, jwks_file or jwks_url")
	}
}

func (b *builder) checkGrantTypes(id string, c ClientSection) {
	path := []any{"clients", id, "grant_types"}
	if !b.onlyServes(id) {
		b.need("write [client_credentials]", path...)
	}
	if b.set(path...) && len(c.GrantTypes) == 0 {
		b.faultAt(path, "is empty, so that the client could ask for nothing; write [client_credentials]")
	}
	for i, grant := range c.GrantTypes {
		if at, ok := b.placed("clients", id, "grant_types", i); ok && grantTypes[grant] == "" {
			b.doc.fault(at.node, "%s: %q is not in this version%s", at.label, at.shown, didYouMean(grant, slices.Collect(maps.Keys(grantTypes))))
		}
	}
}

func (b *builder) checkClientAudiences(id string, c ClientSection) {
	path := []any{"clients", id, "audiences"}
	if !b.onlyServes(id) {
		b.need("a client has what is listed and nothing else, such as {orders-api: [\"orders:read\"]}", path...)
	}
	if b.set(path...) && len(c.Audiences) == 0 {
		b.faultAt(path, "is empty, so that the client could get nothing; list at least one audience")
	}
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		if !b.audienceNamed(audience, b.placedKey("clients", id, "audiences", audience)) {
			continue
		}
		for i, scope := range c.Audiences[audience] {
			if at, ok := b.placed("clients", id, "audiences", audience, i); ok {
				b.scopeOf(audience, scope, at)
			}
		}
	}
	for i, audience := range c.DefaultAudiences {
		at, ok := b.placed("clients", id, "default_audiences", i)
		if _, has := c.Audiences[audience]; ok && !has {
			b.doc.fault(at.node, "%s: the client may not have audience %q%s", at.label, at.shown, didYouMean(audience, slices.Collect(maps.Keys(c.Audiences))))
		}
	}
}

// onlyServes: the client is a service that asks about tokens and for none.
func (b *builder) onlyServes(id string) bool {
	return b.set("clients", id, "serves") && !b.set("clients", id, "grant_types") && !b.set("clients", id, "audiences")
}

func (b *builder) checkServes(id string, c ClientSection) {
	path := []any{"clients", id, "serves"}
	if b.set(path...) && len(c.Serves) == 0 {
		b.faultAt(path, "is empty; name the audience that this client is the service of, or remove the key")
	}
	for i, audience := range c.Serves {
		if at, ok := b.placed("clients", id, "serves", i); ok {
			b.audienceNamed(audience, at)
		}
	}
}

func (b *builder) checkClaims(id string, c ClientSection) {
	taken := map[string]bool{}
	for _, claim := range slices.Sorted(maps.Keys(c.Claims)) {
		folded := strings.ToLower(strings.ToUpper(claim)) // as services may fold it: "ſub" is "sub"
		key := b.doc.key("clients", id, "claims", claim)
		switch {
		case claim == "" || slices.Contains(reservedClaims, folded):
			b.doc.fault(key, "clients.%s.claims: %q is decided by the issuer; choose another name", word(id), claim)
		case taken[folded]:
			b.doc.fault(key, "clients.%s.claims: %q is there in other letters too, and some services could not tell them apart; keep one", word(id), clip(claim))
		}
		taken[folded] = true
	}
	text, err := json.Marshal(c.Claims)
	if err != nil || len(text) > maxClaims {
		b.doc.fault(b.doc.key("clients", id, "claims"), "clients.%s.claims: are more than %d bytes as JSON, so that a JWT would not fit; keep in them what services need on every request", word(id), maxClaims)
	}
}
