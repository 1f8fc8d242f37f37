package configs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/issuer/envelope"
	"github.com/coatcheck/coatcheck/verifier"
)

// visible tells an empty list, which shows nothing, from none.
func (b *builder) visible(audience string, claims []string) []string {
	if b.set("audiences", audience, "claims") && claims == nil {
		return []string{}
	}
	return claims
}

// envelope is how an audience's JWTs are encrypted; nil: they are not. A key that cannot be used is a fault here, so that no
// issuer starts that would have to refuse; one that is fetched is not looked at before it is needed.
func (b *builder) envelope(audience string, e *EncryptSection) *envelope.Recipient {
	if e == nil || e.Algorithm != "" && !slices.Contains(sealingAlgorithms, e.Algorithm) { // the check of the algorithm has said it
		return nil
	}
	at := func(key string) []any { return []any{"audiences", audience, "encrypt", key} }
	algorithm := cmp.Or(e.Algorithm, verifier.ECDHES)
	if file, ok := b.placed(at("key_file")...); ok {
		return b.sealedTo(file, e.KeyFile, "", func(text []byte) (verifier.EncryptionKeys, error) {
			return envelope.ParseKey(text, e.Algorithm, e.KID)
		})
	}
	if file, ok := b.placed(at("jwks_file")...); ok {
		return b.sealedTo(file, e.JWKSFile, e.KID, func(text []byte) (verifier.EncryptionKeys, error) {
			return verifier.ParseEncryptionKeys(text, algorithm)
		})
	}
	keys, err := verifier.NewEncryptionJWKS(verifier.JWKSConfig{
		URL: e.JWKSURL, Client: b.documentClient(e.CAFile, at("ca_file")...), InsecurePlaintext: b.file.InsecurePlaintext,
	}, algorithm)
	if err != nil { // the check of the URL has said it
		return nil
	}
	return &envelope.Recipient{Keys: keys, KeyID: e.KID}
}

// sealedTo reads the keys of a file, of which the one with that id, or the first, must be there.
func (b *builder) sealedTo(at placed, file, id string, parse func([]byte) (verifier.EncryptionKeys, error)) *envelope.Recipient {
	text, ok := b.read(at, file, anyReader)
	if !ok {
		return nil
	}
	keys, err := parse([]byte(text))
	if err != nil {
		why := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "envelope: "), "verifier: ")
		b.doc.fault(at.node, "%s: %s cannot be encrypted to: %s", at.label, at.shown, why)
		return nil
	}
	r := &envelope.Recipient{Keys: keys, KeyID: id}
	for _, k := range keys {
		if id == "" || k.ID == id {
			return r
		}
	}
	b.doc.fault(at.node, "%s: %s has no key with the kid %q", at.label, at.shown, clip(id))
	return nil
}
