package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/go-jose/go-jose/v4"
)

// envelope is how a token is encrypted in these tests; the zero value of a field is what our issuer does.
type envelope struct {
	key     testKey
	alg     jose.KeyAlgorithm
	enc     jose.ContentEncryption
	cty     string // "-": none
	kid     string
	zip     bool
	headers map[jose.HeaderKey]any
	secret  any // instead of key: what PBES2 and dir take
}

func (e envelope) seal(content string) string {
	if e.enc == "" {
		e.enc = jose.A256GCM
	}
	if e.kid == "" {
		e.kid = e.key.kid
	}
	o := &jose.EncrypterOptions{}
	for name, value := range e.headers {
		o.WithHeader(name, value)
	}
	if e.cty == "" {
		e.cty = "JWT"
	}
	if e.cty != "-" {
		o.WithContentType(jose.ContentType(e.cty))
	}
	if e.zip {
		o.Compression = jose.DEFLATE
	}
	r := jose.Recipient{Algorithm: e.alg, KeyID: e.kid, Key: e.secret, PBES2Count: 1000}
	if r.Key == nil {
		r.Key = e.key.private.Public()
	}
	return must(must(must(jose.NewEncrypter(e.enc, r, o)).Encrypt([]byte(content))).CompactSerialize())
}

// toService is an envelope for the service whose keys serviceKeys are.
func toService() envelope { return envelope{key: encKeys().ec, alg: jose.ECDH_ES} }

func encKeys() (k struct{ ec, next, wrap, rsa testKey }) {
	k.ec = ecKey("enc-a", "ECDH-ES", elliptic.P256())
	k.next = ecKey("enc-b", "ECDH-ES", elliptic.P384())
	k.wrap = ecKey("enc-c", "ECDH-ES+A256KW", elliptic.P256())
	k.rsa = testKeys().rs
	k.rsa.kid, k.rsa.alg = "enc-d", "RSA-OAEP-256"
	return k
}

func (k testKey) decryption() verifier.DecryptionKey {
	return verifier.DecryptionKey{ID: k.kid, Algorithm: k.alg, Private: k.private}
}

func serviceKeys() []verifier.DecryptionKey {
	k := encKeys()
	return []verifier.DecryptionKey{k.ec.decryption(), k.next.decryption(), k.wrap.decryption(), k.rsa.decryption()}
}

func newOpening(t testing.TB, change ...func(*verifier.Config)) *verifier.Verifier {
	t.Helper()
	c := verifier.Config{Keys: staticKeys(), Decryption: serviceKeys()}
	for _, f := range change {
		f(&c)
	}
	v, err := verifier.New(testIssuer, testAudience, c)
	if err != nil {
		t.Fatal(err)
	}
	v.SetNow(testNow)
	return v
}

// decrypterOnly is an RSA key in hardware: all that can be done with it is to decrypt.
type decrypterOnly struct{ key *rsa.PrivateKey }

func (d decrypterOnly) Public() crypto.PublicKey { return d.key.Public() }
func (d decrypterOnly) Decrypt(r io.Reader, text []byte, o crypto.DecrypterOpts) ([]byte, error) {
	return d.key.Decrypt(r, text, o)
}

// Old and new key are accepted side by side, each with its own algorithm.
func TestEncryptedTokenIsOpenedByEachKey(t *testing.T) {
	t.Parallel()
	k := encKeys()
	v := newOpening(t)
	for _, one := range []testKey{k.ec, k.next, k.wrap, k.rsa} {
		raw := envelope{key: one, alg: jose.KeyAlgorithm(one.alg)}.seal(testKeys().es.access())
		c, err := v.Verify(t.Context(), raw)
		if err != nil || c.ClientID != "partner-shop" {
			t.Errorf("Verify of a token encrypted to %s with %s = %+v, %v", one.kid, one.alg, c, err)
		}
		if one.alg == "RSA-OAEP-256" {
			far := newOpening(t, func(c *verifier.Config) {
				c.Decryption = []verifier.DecryptionKey{{ID: one.kid, Private: decrypterOnly{one.private.(*rsa.PrivateKey)}}}
			})
			if _, err := far.Verify(t.Context(), raw); err != nil {
				t.Errorf("Verify with a crypto.Decrypter = %v", err)
			}
		}
	}
	// Without a kid of its own a key has its thumbprint, which the issuer computes alike.
	bare := verifier.DecryptionKey{Private: k.ec.private}
	public, err := bare.Public()
	if err != nil || len(public.ID) != 43 || public.Algorithm != verifier.ECDHES {
		t.Fatalf("Public of a bare key = %+v, %v; want a thumbprint and ECDH-ES", public, err)
	}
	v = newOpening(t, func(c *verifier.Config) { c.Decryption = []verifier.DecryptionKey{bare} })
	if _, err := v.Verify(t.Context(), envelope{key: k.ec, alg: jose.ECDH_ES, kid: public.ID}.seal(testKeys().es.access())); err != nil {
		t.Errorf("Verify by thumbprint = %v", err)
	}
}

// Whether tokens are encrypted is said by the configuration and never by a token.
func TestEncryptedOrNotIsConfigured(t *testing.T) {
	t.Parallel()
	signed := testKeys().es.access()
	encrypted := toService().seal(signed)
	both := newOpening(t, func(c *verifier.Config) { c.AcceptUnencrypted = true })
	for _, c := range []struct {
		name string
		v    *verifier.Verifier
		raw  string
		want string // a piece of the error; empty: accepted
	}{
		{"signed alone, for a service that expects JWE", newOpening(t), signed, "not encrypted"},
		{"encrypted, for one that has no key", newVerifier(t, staticKeys()), encrypted, "has no decryption key"},
		{"signed alone, in a change-over", both, signed, ""},
		{"encrypted, in a change-over", both, encrypted, ""},
		{"encrypted twice", newOpening(t), toService().seal(encrypted), "has not three parts"},
		{"nothing inside", newOpening(t), toService().seal(""), "has not three parts"},
		{"claims that nobody signed", newOpening(t), toService().seal(claims()), "outside base64url"},
		{"another's signature", newOpening(t), toService().seal(testKeys().es2.access()), "signing key"},
	} {
		_, err := c.v.Verify(t.Context(), c.raw)
		if (c.want == "") != (err == nil) || err != nil && (!errors.Is(err, verifier.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Verify = %v, want %q in an ErrInvalid", c.name, err, c.want)
		}
	}
}

// Everything else that a JWE can be is refused before a private key is used, but for the last rows.
func TestA7_TheKeyDecidesHowATokenIsEncrypted(t *testing.T) {
	t.Parallel()
	k, signed := encKeys(), testKeys().es.access()
	good := toService().seal(signed)
	parts := strings.Split(good, ".")
	with := func(at int, part string) string {
		changed := append([]string(nil), parts...)
		changed[at] = part
		return strings.Join(changed, ".")
	}
	header := func(text string) string { return with(0, b64([]byte(text))) }
	rows := []struct{ name, raw, want string }{
		{"RSA1_5", envelope{key: k.rsa, alg: jose.RSA1_5}.seal(signed), "alg is not that of its key"},
		{"RSA-OAEP with SHA-1", envelope{key: k.rsa, alg: jose.RSA_OAEP}.seal(signed), "alg is not that of its key"},
		{"a wrapped key for a key of ECDH-ES", envelope{key: k.ec, alg: jose.ECDH_ES_A256KW}.seal(signed), "alg is not that of its key"},
		{"ECDH-ES for a key that wraps", envelope{key: k.wrap, alg: jose.ECDH_ES}.seal(signed), "alg is not that of its key"},
		{"A128KW", envelope{key: k.wrap, alg: jose.ECDH_ES_A128KW}.seal(signed), "alg is not that of its key"},
		{"dir, under the public key as a secret", envelope{alg: jose.DIRECT, kid: "enc-a", secret: seed("known to all", 32)}.seal(signed), "alg is not that of its key"},
		{"A128GCM", envelope{key: k.ec, alg: jose.ECDH_ES, enc: jose.A128GCM}.seal(signed), "enc is not accepted"},
		{"A256CBC-HS512", envelope{key: k.ec, alg: jose.ECDH_ES, enc: jose.A256CBC_HS512}.seal(signed), "enc is not accepted"},
		{"no cty", envelope{key: k.ec, alg: jose.ECDH_ES, cty: "-"}.seal(signed), "cty is not JWT"},
		{"another cty", envelope{key: k.ec, alg: jose.ECDH_ES, cty: "json"}.seal(signed), "cty is not JWT"},
		{"another kid", envelope{key: k.ec, alg: jose.ECDH_ES, kid: "enc-z"}.seal(signed), "a key that this service has not"},
		{"the kid of another key", envelope{key: k.next, alg: jose.ECDH_ES, kid: "enc-a"}.seal(signed), "does not open"},
		{"no kid", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT"}`), "a key that this service has not"},
		{"crit", envelope{key: k.ec, alg: jose.ECDH_ES, headers: map[jose.HeaderKey]any{"crit": []string{"exp"}}}.seal(signed), "has crit"},
		{"none", header(`{"alg":"none","enc":"A256GCM","cty":"JWT","kid":"enc-a"}`), "alg is not that of its key"},
		{"a name twice", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a","kid":"enc-b"}`), "occurs twice"},
		{"a name in another case", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a","ALG":"dir"}`), "occurs twice"},
		{"no epk", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a"}`), "does not open"},
		{"an epk off its curve", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a","epk":{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(seed("y", 32)) + `"}}`), ""},
		{"an epk of another curve", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a","epk":{` + k.next.material() + `}}`), "does not open"},
		{"an epk that is no EC key", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"enc-a","epk":{` + testKeys().ed.material() + `}}`), ""},
		{"an encrypted key where there is none", with(1, "AAAA"), "encrypted key does not fit"},
		{"another nonce", with(2, b64(make([]byte, 12))), "does not open"},
		{"a short nonce", with(2, b64(make([]byte, 8))), "does not open"},
		{"no tag", with(4, ""), "does not open"},
		{"half a tag", with(4, parts[4][:11]), ""},
		{"a content that was turned", with(3, "A"+parts[3][1:]), ""},
		{"padding", good + "=", "not base64url"},
		{"a line feed", parts[0] + "\n." + strings.Join(parts[1:], "."), "not base64url"},
		{"spare bits", with(4, parts[4][:len(parts[4])-1]+string(nextLetter(parts[4][len(parts[4])-1]))), "not base64url"},
		{"six parts", good + ".AA", "not encrypted"},
	}
	for _, r := range rows {
		_, err := newOpening(t).Verify(t.Context(), r.raw)
		if !errors.Is(err, verifier.ErrInvalid) || !strings.Contains(err.Error(), r.want) || leaks(err, r.raw) {
			t.Errorf("%s: Verify = %v, want ErrInvalid with %q", r.name, err, r.want)
		}
	}
	if _, err := newOpening(t).Verify(t.Context(), good); err != nil {
		t.Errorf("the token that the rows were made of: %v", err)
	}
}

// nextLetter differs from c in the lowest bit alone, which the tag's last letter must not use.
func nextLetter(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// What the header brings along is not used: not a key, not a place to get one.
func TestA8_AnEncryptedTokenBringsNoKey(t *testing.T) {
	t.Parallel()
	e := toService()
	e.headers = map[jose.HeaderKey]any{"jku": "https://evil.example.com/keys", "x5u": "https://evil.example.com/cert"}
	if _, err := newOpening(t).Verify(t.Context(), e.seal(testKeys().es.access())); err != nil {
		t.Errorf("Verify of a token whose header names places that nobody asks = %v, want nil", err)
	}
}

func TestA9_WeakDecryptionKeysAreRefused(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for _, c := range []struct {
		name string
		keys []verifier.DecryptionKey
		want string
	}{
		{"RSA of 1024 bits", []verifier.DecryptionKey{{Private: k.weak.private}}, "between 2048"},
		{"P-224", []verifier.DecryptionKey{{ID: "a", Private: must(ecdsa.ParseRawPrivateKey(elliptic.P224(), seed("p224", 28)))}}, "unsupported"},
		{"Ed25519", []verifier.DecryptionKey{{Private: k.ed.private}}, "does not fit"},
		{"a secret", []verifier.DecryptionKey{{Private: []byte("secret")}}, "no private key"},
		{"nothing", []verifier.DecryptionKey{{}}, "no private key"},
		{"an algorithm of another key", []verifier.DecryptionKey{{Algorithm: "RSA-OAEP-256", Private: k.es.private}}, "does not fit"},
		{"RSA1_5", []verifier.DecryptionKey{{Algorithm: "RSA1_5", Private: k.rs.private}}, "does not fit"},
		{"a kid that is a path", []verifier.DecryptionKey{{ID: "../a", Private: k.es.private}}, "kid is not"},
		{"one kid for two", []verifier.DecryptionKey{{ID: "a", Private: k.es.private}, {ID: "a", Private: k.es2.private}}, `two decryption keys have the kid "a"`},
	} {
		_, err := verifier.New(testIssuer, testAudience, verifier.Config{Keys: staticKeys(), Decryption: c.keys})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New with %s = %v, want %q", c.name, err, c.want)
		}
	}
}

// A class of token is none the more another class for being encrypted.
func TestA12_EncryptedClassesStayApart(t *testing.T) {
	t.Parallel()
	for _, c := range tokenClasses() {
		raw := toService().seal(c.token(testKeys().es))
		_, err := newOpening(t).Verify(t.Context(), raw)
		if want := c.typ == "at+jwt"; (err == nil) != want {
			t.Errorf("Verify of %s, encrypted = %v, want it accepted: %v", c.name, err, want)
		}
		// Who asks for a class by Signed asks for what is signed, and opens nothing.
		for _, expected := range tokenClasses() {
			e := verifier.Expect{Type: expected.typ, Issuer: testIssuer, Audience: testAudience}
			if _, err := verifier.Signed(t.Context(), staticKeys(), raw, e, testNow); err == nil {
				t.Errorf("Signed of %s, encrypted, for %s = nil, want a refusal", c.name, expected.name)
			}
		}
	}
}

// No bomb goes off: what is large is refused by its size, what would be costly by its header.
func TestA13_EncryptedJunkIsCheap(t *testing.T) {
	t.Parallel()
	signed := testKeys().es.access()
	bomb := testKeys().es.access("pad", `"`+strings.Repeat("x", 9<<20)+`"`)
	zipped := envelope{key: encKeys().ec, alg: jose.ECDH_ES, zip: true}
	passwords := envelope{alg: jose.PBES2_HS256_A128KW, kid: "enc-a", secret: []byte("password"), headers: map[jose.HeaderKey]any{"p2c": 1 << 50}}
	for _, c := range []struct{ name, raw, want string }{
		{"a million dots", strings.Repeat(".", 1_000_000), "too long"},
		{"four dots and a million letters", "...." + strings.Repeat("A", 1_000_000), "too long"},
		{"16 KiB of dots", strings.Repeat(".", 16<<10), "not encrypted"},
		{"four dots", "....", "header is not valid JSON"},
		{"9 MiB of claims, compressed to a hundredth", zipped.seal(bomb), ""}, // too long, or compressed: whichever is seen first
		{"a small one, compressed", zipped.seal(signed), "compressed"},
		{"PBES2 with 2^50 rounds", passwords.seal(signed), "alg is not that of its key"},
		{"a header of nested arrays", b64([]byte(`{"alg":"ECDH-ES","a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)) + "....AA", "nested too deep"},
		{"a content of nested objects", toService().seal(testKeys().es.token(testKeys().es.header(), strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000))), "nested too deep"},
	} {
		asked := 0
		v := newOpening(t, func(c *verifier.Config) { c.Keys = countingKeys{staticKeys(), &asked} })
		if _, err := v.Verify(t.Context(), c.raw); !errors.Is(err, verifier.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Verify of %s = %v, want ErrInvalid with %q", c.name, err, c.want)
		}
		if asked > 0 && !strings.Contains(c.name, "content") {
			t.Errorf("%s: the signing keys were asked", c.name)
		}
	}
}

// FuzzOpen: whatever is presented ends in a refusal without a panic, and costs no key look-up unless it opened.
func FuzzOpen(f *testing.F) {
	signed := testKeys().es.access()
	for _, e := range []envelope{toService(), {key: encKeys().rsa, alg: jose.RSA_OAEP_256}, {key: encKeys().ec, alg: jose.ECDH_ES, zip: true}} {
		f.Add(e.seal(signed))
	}
	f.Add("....")
	f.Add(signed)
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := newOpening(t).Verify(t.Context(), raw); err != nil && !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("Verify(%q) = %v, want nil or ErrInvalid", raw, err)
		}
	})
}

func BenchmarkVerifyEncrypted(b *testing.B) {
	k := encKeys()
	for _, one := range []testKey{k.ec, k.wrap, k.rsa} {
		b.Run(one.alg, func(b *testing.B) {
			v, raw := newOpening(b), envelope{key: one, alg: jose.KeyAlgorithm(one.alg)}.seal(testKeys().es.access())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
