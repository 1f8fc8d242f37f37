package exchange_test

import (
	"testing"

	"github.com/coatcheck/coatcheck/exchange"
)

// Whatever else our issuer signs, with the same key and the very claims of a manifest: it is no manifest, and no reference.
// Nor is anything encrypted: an edge has no key to open it with, and does not look into it.
func TestA12_NoClassStandsForAManifestOrAReference(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	for _, typ := range []string{
		"at+jwt", "application/at+jwt", "token-introspection+jwt", "dpop+jwt", "client-authentication+jwt", "logout+jwt", "JWT", "",
	} {
		d, raw := k.issue()
		signed := k.signer.sign(t, typ, d.manifest.Claims())
		for name, manifest := range map[string]string{"signed": signed, "encrypted": "eyJhbGciOiJFQ0RILUVTIn0.." + signed} {
			bent, reference := k.issue()
			bent.sign = func(c map[string]any) string {
				if name == "signed" {
					return k.signer.sign(t, typ, c)
				}
				return "eyJhbGciOiJFQ0RILUVTIn0.." + k.signer.sign(t, exchange.ManifestType, c)
			}
			k.plant(bent)
			k.refused(reference, exchange.ReasonTampered)
			if source := k.refused(manifest, exchange.ReasonMalformed); source != exchange.SourceNone {
				t.Errorf("typ %q, %s, in the place of a reference: source %q, want none", typ, name, source)
			}
		}
		k.swap(raw, exchange.SourceMiss)
	}
}
