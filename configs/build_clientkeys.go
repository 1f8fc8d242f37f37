package configs

import (
	"encoding/json"
	"strings"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// clientKeys reads the keys of a client; nil: it has none. The operator chose the URL, so it may lead into the network.
func (b *builder) clientKeys(id string, c ClientSection) *clients.Keys {
	spec := clients.KeySpec{URL: c.JWKSURL, Algorithms: c.Algorithms, Private: true}
	at, ok := b.placed("clients", id, "jwks")
	if ok {
		text, err := json.Marshal(c.JWKS)
		if err != nil {
			b.doc.fault(at.node, "%s: cannot be written as JSON; quote its keys", at.label)
			return nil
		}
		spec.JWKS = text
	} else if at, ok = b.placed("clients", id, "jwks_file"); ok {
		text, err := readSecret(b.doc.beside(c.JWKSFile), anyReader)
		if err != nil {
			b.unreadable(at, c.JWKSFile, "", err)
			return nil
		}
		spec.JWKS = []byte(text)
	} else if at, ok = b.placed("clients", id, "jwks_url"); !ok {
		return nil
	}
	if len(spec.JWKS) > 0 && spec.URL != "" {
		return nil // checkProof has said so
	}
	keys, err := clients.NewKeys(spec)
	if err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ") // the room's name says nothing here
		b.doc.fault(at.node, "%s: %s", at.label, strings.TrimSuffix(why, ", or set InsecurePlaintext"))
	}
	return keys
}
