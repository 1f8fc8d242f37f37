package envelope_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/issuer/envelope"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/go-jose/go-jose/v4"
)

var testKeys = sync.OnceValue(func() (k struct {
	ec, p384  *ecdsa.PrivateKey
	rsa, weak *rsa.PrivateKey
},
) {
	k.ec = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	k.p384 = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	k.rsa = must(rsa.GenerateKey(rand.Reader, 2048))
	k.weak = must(rsa.GenerateKey(rand.Reader, 1024))
	return k
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What comes out is exactly what RFC 7519 §5.2 and RFC 7516 §4.1 ask for, and opens with the library of others.
func TestWrapWritesANestedJWT(t *testing.T) {
	t.Parallel()
	const signed = "eyJ.eyJ.c2ln"
	k := testKeys()
	for _, c := range []struct {
		algorithm string
		public    any
		private   any
		members   string
	}{
		{verifier.ECDHES, &k.ec.PublicKey, k.ec, "alg cty enc epk kid"},
		{verifier.ECDHES, &k.p384.PublicKey, k.p384, "alg cty enc epk kid"},
		{verifier.ECDHESA256KW, &k.ec.PublicKey, k.ec, "alg cty enc epk kid"},
		{verifier.RSAOAEP256, &k.rsa.PublicKey, k.rsa, "alg cty enc kid"},
	} {
		key := must(verifier.NewEncryptionKey(c.public, c.algorithm, ""))
		r := envelope.Recipient{Keys: verifier.EncryptionKeys{key}}
		text, err := r.Wrap(t.Context(), signed)
		if err != nil {
			t.Fatalf("Wrap with %s: %v", c.algorithm, err)
		}
		var header map[string]any
		first, _, _ := strings.Cut(text, ".")
		if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(first)), &header); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(header)), " "); got != c.members {
			t.Errorf("%s: the header has %s, want %s", c.algorithm, got, c.members)
		}
		if header["alg"] != c.algorithm || header["enc"] != "A256GCM" || header["cty"] != "JWT" || header["kid"] != key.ID {
			t.Errorf("%s: header %v", c.algorithm, header)
		}
		sealed := must(jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.KeyAlgorithm(c.algorithm)}, []jose.ContentEncryption{jose.A256GCM}))
		if got, err := sealed.Decrypt(c.private); string(got) != signed || err != nil {
			t.Errorf("%s: inside is %q, %v; want %q", c.algorithm, got, err, signed)
		}
		if again, err := r.Wrap(t.Context(), signed); again == text || err != nil {
			t.Errorf("%s: the same text twice, or %v: nonce and key must be new each time", c.algorithm, err)
		}
	}
}

type brokenKeys struct{ err error }

func (b brokenKeys) Key(context.Context, string) (verifier.Key, error) { return verifier.Key{}, b.err }

// Without a good key nothing comes out, least of all what went in.
func TestWrapWithoutAKeyIsAnError(t *testing.T) {
	t.Parallel()
	k := testKeys()
	good := must(verifier.NewEncryptionKey(&k.ec.PublicKey, "", "a"))
	for name, r := range map[string]envelope.Recipient{
		"keys that cannot be had":    {Keys: brokenKeys{verifier.ErrKeysUnavailable}},
		"no key":                     {Keys: verifier.EncryptionKeys{}},
		"no key of that name":        {Keys: verifier.EncryptionKeys{good}, KeyID: "b"},
		"RSA of 1024 bits":           {Keys: verifier.EncryptionKeys{{ID: "a", Algorithm: verifier.RSAOAEP256, Public: &k.weak.PublicKey}}},
		"an algorithm of other keys": {Keys: verifier.EncryptionKeys{{ID: "a", Algorithm: verifier.RSAOAEP256, Public: &k.ec.PublicKey}}},
		"dir":                        {Keys: verifier.EncryptionKeys{{ID: "a", Algorithm: "dir", Public: make([]byte, 32)}}},
		"a key that signs":           {Keys: verifier.EncryptionKeys{{ID: "a", Algorithm: "ES256", Public: &k.ec.PublicKey}}},
	} {
		if text, err := r.Wrap(t.Context(), "signed"); text != "" || !errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("Wrap with %s = %q, %v; want nothing and ErrNoKey", name, text, err)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	k := testKeys()
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	public := func(key any) string { return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))) }
	ed, _ := must2(ed25519.GenerateKey(rand.Reader))
	certificate := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: k.rsa.N}, &x509.Certificate{}, &k.ec.PublicKey, k.ec))
	for _, c := range []struct{ name, text, algorithm, id, want string }{
		{"EC", public(&k.ec.PublicKey), "", "", "ECDH-ES"},
		{"EC that wraps", public(&k.ec.PublicKey), "ECDH-ES+A256KW", "orders-1", "ECDH-ES+A256KW"},
		{"RSA", public(&k.rsa.PublicKey), "", "", "RSA-OAEP-256"},
		{"RSA, PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), "", "", "RSA-OAEP-256"},
		{"certificate", block("CERTIFICATE", certificate), "", "", "ECDH-ES"},
		{"RSA of 1024 bits", public(&k.weak.PublicKey), "", "", "between 2048"},
		{"EC for RSA", public(&k.ec.PublicKey), "RSA-OAEP-256", "", "does not fit"},
		{"unknown algorithm", public(&k.rsa.PublicKey), "RSA1_5", "", "does not fit"},
		{"Ed25519", public(ed), "", "", "does not fit"},
		{"a kid with a slash", public(&k.ec.PublicKey), "", "a/b", "kid is not"},
		{"private", block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k.ec))), "", "", "it stays with the service"},
		{"private EC", block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k.ec))), "", "", "it stays with the service"},
		{"two keys", public(&k.ec.PublicKey) + public(&k.rsa.PublicKey), "", "", "more than one"},
		{"no PEM", "secret", "", "", "not a PEM block"},
		{"another block", block("X509 CRL", []byte{1}), "", "", `type "X509 CRL"`},
		{"broken DER", block("PUBLIC KEY", []byte{1, 2, 3}), "", "", "asn1"},
		{"broken certificate", block("CERTIFICATE", []byte{1, 2, 3}), "", "", "x509"},
	} {
		keys, err := envelope.ParseKey([]byte(c.text), c.algorithm, c.id)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && (keys[0].Algorithm != c.want || c.id != "" && keys[0].ID != c.id) {
			t.Errorf("ParseKey of %s = %+v, %v; want %q", c.name, keys, err, c.want)
		}
	}
}

func must2[T, U any](v T, u U, err error) (T, U) { return must(v, err), u }

// BenchmarkWrap is what encryption adds to a mint.
func BenchmarkWrap(b *testing.B) {
	k := testKeys()
	signed := strings.Repeat("x", 800)
	for _, row := range []struct {
		algorithm string
		public    any
	}{{verifier.ECDHES, &k.ec.PublicKey}, {verifier.ECDHESA256KW, &k.ec.PublicKey}, {verifier.RSAOAEP256, &k.rsa.PublicKey}} {
		b.Run(row.algorithm, func(b *testing.B) {
			r := envelope.Recipient{Keys: verifier.EncryptionKeys{must(verifier.NewEncryptionKey(row.public, row.algorithm, ""))}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Wrap(b.Context(), signed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
