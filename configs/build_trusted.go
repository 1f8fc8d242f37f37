package configs

import (
	"maps"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust"
)

func (b *builder) trusted() map[string]issuer.Trusted {
	all := map[string]issuer.Trusted{}
	for _, alias := range slices.Sorted(maps.Keys(b.file.TrustedIssuers)) {
		t := b.file.TrustedIssuers[alias]
		c := trust.Config{
			Issuer: t.Issuer, Audience: t.Audience, JWKSURL: t.JWKSURL, InsecurePlaintext: b.file.InsecurePlaintext,
			Client:     b.documentClient(t.CAFile, "trusted_issuers", alias, "ca_file"),
			Algorithms: t.Algorithms, Types: t.Typ, Parties: t.Azp, Claims: t.Claims,
			MaxAge: time.Duration(t.MaxAge), Leeway: time.Duration(t.Leeway),
		}
		if at, ok := b.placed("trusted_issuers", alias, "jwks_file"); ok {
			text, _ := b.read(at, t.JWKSFile, anyReader)
			c.KeySet = []byte(text)
		}
		all[alias] = issuer.Trusted{Config: c, Clients: t.Clients}
		if len(b.doc.faults) > 0 {
			continue // what is left to find would only repeat them
		}
		if _, err := trust.New(alias, c, clients.ReservedClaims()); err != nil {
			b.doc.fault(b.doc.key("trusted_issuers", alias), "%s: %v", labelOf("trusted_issuers", alias), err)
		}
	}
	return all
}
