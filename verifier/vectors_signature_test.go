package verifier_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

func TestA5_OneSpellingPerToken(t *testing.T) {
	t.Parallel()
	vectorsEncoding().run(t)
}

func vectorsEncoding() *vectorFile {
	f := newVectors("encoding", "Compact serialization (RFC 7515 §7.1): three parts of base64url without padding, line ends or spare bits (§2).")
	k := testKeys().es
	good := k.access()
	parts := strings.Split(good, ".")
	change := func(i int, edit func(string) string) string {
		p := append([]string(nil), parts...)
		p[i] = edit(p[i])
		return strings.Join(p, ".")
	}
	for i, part := range []string{"header", "payload", "signature"} {
		for _, end := range []struct{ name, text string }{
			{"padding", "="},
			{"two of padding", "=="},
			{"a line feed", "\n"},
			{"a carriage return", "\r"},
			{"a space", " "},
			{"a NUL", "\x00"},
			{"a plus", "+"},
			{"a slash", "/"},
			{"a wide letter", "é"},
		} {
			f.add(wantInvalid, part+" with "+end.name+" behind", change(i, func(s string) string { return s + end.text }))
		}
		f.add(wantInvalid, part+" with a line feed inside", change(i, func(s string) string { return s[:4] + "\n" + s[4:] }))
		f.add(wantInvalid, part+" is empty", change(i, func(string) string { return "" }))
	}
	// A last character that stands for one byte has four spare bits; the next letter of the alphabet sets one.
	loose := func(s string) string { return s[:len(s)-1] + string(s[len(s)-1]+1) }
	f.add(wantInvalid, "signature with a spare bit", change(2, loose))
	header := k.header()
	for len(header)%3 != 1 {
		header += " "
	}
	input := loose(b64([]byte(header))) + "." + parts[1]
	f.add(wantInvalid, "header with a spare bit, signed so", input+"."+b64(k.signature(input)))
	f.add(wantInvalid, "two parts", parts[0]+"."+parts[1])
	f.add(wantInvalid, "four parts", good+"."+parts[2])
	f.add(wantInvalid, "five parts, like a JWE", good+".AA.AA")
	f.add(wantInvalid, "a dot behind", good+".")
	f.add(wantInvalid, "a dot before", "."+good)
	f.add(wantInvalid, "empty", "")
	f.add(wantInvalid, "JSON serialization", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]))
	f.add(wantInvalid, "payload of another token", parts[0]+"."+b64([]byte(claims("sub", `"admin"`)))+"."+parts[2])
	return f
}

func TestA6_CritIsRefused(t *testing.T) {
	t.Parallel()
	vectorsCrit().run(t)
}

func vectorsCrit() *vectorFile {
	f := newVectors("crit", "No extension is understood, so every crit is refused (RFC 7515 §4.1.11).")
	k := testKeys().es
	for _, c := range []struct{ name, members string }{
		{"empty", `"crit":[]`},
		{"names an absent header", `"crit":["exp"]`},
		{"names an unknown extension", `"crit":["urn:x"],"urn:x":1`},
		{"names b64 of RFC 7797", `"crit":["b64"],"b64":true`},
		{"names a registered header", `"crit":["kid"]`},
		{"is null", `"crit":null`},
		{"is a string", `"crit":"b64","b64":true`},
	} {
		f.add(wantInvalid, c.name, k.token(strings.TrimSuffix(k.header(), "}")+","+c.members+"}", claims()))
	}
	return f
}

func TestA7_TheKeyDecidesTheAlgorithm(t *testing.T) {
	t.Parallel()
	vectorsAlgorithms().run(t)
}

func vectorsAlgorithms() *vectorFile {
	keys := testKeys()
	f := newVectors("algorithms", "The algorithm is that of the key (RFC 8725 §3.1).", keys.p384)
	as := func(alg, kid string) string { return fmt.Sprintf(`{"typ":"at+jwt","alg":%q,"kid":%q}`, alg, kid) }
	hmacWith := func(kid string, secret []byte) string {
		input := b64([]byte(as("HS256", kid))) + "." + b64([]byte(claims()))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + b64(mac.Sum(nil))
	}
	modulus := keys.rs.private.Public().(*rsa.PublicKey).N.Bytes()
	f.add(wantInvalid, "HS256 with the modulus as the secret", hmacWith("rs256-a", modulus))
	f.add(wantInvalid, "HS256 with the JWK as the secret", hmacWith("rs256-a", []byte(keys.rs.jwk())))
	f.add(wantInvalid, "HS256 with an empty secret", hmacWith("es256-a", nil))
	for _, none := range []string{"none", "NonE", "NONE", ""} {
		header := b64([]byte(as(none, "es256-a")))
		f.add(wantInvalid, "alg "+none+" without a signature", header+"."+b64([]byte(claims()))+".")
		f.add(wantInvalid, "alg "+none+" with a signature", keys.es.token(as(none, "es256-a"), claims()))
	}
	f.add(wantInvalid, "no alg", keys.es.token(`{"typ":"at+jwt","kid":"es256-a"}`, claims()))
	f.add(wantInvalid, "alg is a number", keys.es.token(`{"typ":"at+jwt","alg":256,"kid":"es256-a"}`, claims()))
	f.add(wantInvalid, "es256 in lower case", keys.es.token(as("es256", "es256-a"), claims()))
	f.add(wantInvalid, "ES384 says the token, ES256 the key", keys.es.token(as("ES384", "es256-a"), claims()))
	pss := keys.rs
	pss.alg = "PS256"
	f.add(wantInvalid, "PS256 under an RS256 key", pss.token(as("PS256", "rs256-a"), claims()))
	pkcs := keys.ps
	pkcs.alg = "RS256"
	f.add(wantInvalid, "RS256 under a PS256 key", pkcs.token(as("RS256", "ps256-a"), claims()))
	f.add(wantInvalid, "RS256 header, PS256 signature, RS256 key", pss.token(as("RS256", "rs256-a"), claims()))
	f.add(wantInvalid, "EdDSA says the token, key and signature are ES256", keys.es.token(as("EdDSA", "es256-a"), claims()))
	f.add(wantInvalid, "PS256 says the token, key and signature are RS256", keys.rs.token(as("PS256", "rs256-a"), claims()))
	f.add(wantInvalid, "ES256 under an EdDSA key", keys.es.token(as("ES256", "eddsa-a"), claims()))
	f.add(wantUnknownKey, "ES256 with a P-384 key", keys.p384.access())
	return f
}

func TestA8_ATokenBringsNoKey(t *testing.T) {
	t.Parallel()
	vectorsHeaderKeys().run(t)
}

func vectorsHeaderKeys() *vectorFile {
	f := newVectors("header-keys", "jwk, jku, x5u and x5c are not read, kid is only looked up (RFC 8725 §3.10).")
	k, other := testKeys().es, testKeys().es2
	for _, c := range []struct{ name, member string }{
		{"jwk", `"jwk":` + other.jwk()},
		{"jku", `"jku":"https://evil.example.com/jwks.json"`},
		{"x5u", `"x5u":"https://evil.example.com/chain.pem"`},
		{"x5c", `"x5c":["MIIB"]`},
	} {
		with := func(kid string) string {
			return fmt.Sprintf(`{"typ":"at+jwt","alg":"ES256","kid":%q,%s}`, kid, c.member)
		}
		f.add(wantInvalid, c.name+", signed by that key under our kid", other.token(with(k.kid), claims()))
		f.add(wantUnknownKey, c.name+", signed by that key under its own kid", other.token(with(other.kid), claims()))
		f.add(wantOK, c.name+" is ignored in a good token", k.token(with(k.kid), claims()))
	}
	for _, c := range []struct{ name, kid string }{
		{"a path", `"../../../../dev/null"`},
		{"a URL", `"https://evil.example.com/k"`},
		{"SQL", `"' OR '1'='1"`},
		{"a NUL", `"es256-a\u0000"`},
		{"a line end", `"es256-a\n"`},
		{"empty", `""`},
		{"null", `null`},
		{"a number", `1`},
		{"an array", `["es256-a"]`},
		{"129 characters", `"` + strings.Repeat("k", 129) + `"`},
	} {
		f.add(wantInvalid, "kid is "+c.name, k.token(`{"typ":"at+jwt","alg":"ES256","kid":`+c.kid+`}`, claims()))
	}
	f.add(wantInvalid, "no kid", k.token(`{"typ":"at+jwt","alg":"ES256"}`, claims()))
	f.add(wantUnknownKey, "kid in other case", k.token(`{"typ":"at+jwt","alg":"ES256","kid":"ES256-A"}`, claims()))
	return f
}

func TestA9_WeakKeysAndOddSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	vectorsKeyStrength().run(t)
}

func vectorsKeyStrength() *vectorFile {
	keys := testKeys()
	k := keys.es
	zero := b64(make([]byte, 32))
	modulus := b64(keys.rs.private.Public().(*rsa.PublicKey).N.Bytes())
	f := newVectors("key-strength",
		"Keys that are skipped: RSA under 2048 bits (RFC 7518 §3.3), points off their curve or zero (RFC 8725 §3.4). Signatures: ECDSA is R||S of 64 bytes (RFC 7518 §3.4), PSS has a salt of 32 bytes (§3.5).",
		keys.weak,
		fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"zero-point","alg":"ES256","use":"sig"}`, zero, zero),
		fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"off-curve","alg":"ES256","use":"sig"}`, b64(seed("x", 32)), b64(seed("y", 32))),
		fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q,"kid":"zero-ed","alg":"EdDSA","use":"sig"}`, zero),
		fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQ","kid":"exponent-1","alg":"RS256","use":"sig"}`, modulus),
		fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"Ag","kid":"exponent-2","alg":"RS256","use":"sig"}`, modulus),
	)
	under := func(alg, kid string, signature []byte) string {
		input := b64(fmt.Appendf(nil, `{"typ":"at+jwt","alg":%q,"kid":%q}`, alg, kid)) + "." + b64([]byte(claims()))
		return input + "." + b64(signature)
	}
	f.add(wantUnknownKey, "RSA of 1024 bits", keys.weak.access())
	f.add(wantUnknownKey, "zero point", under("ES256", "zero-point", make([]byte, 64)))
	f.add(wantUnknownKey, "point off the curve", under("ES256", "off-curve", seed("signature", 64)))
	f.add(wantUnknownKey, "zero Ed25519 key", under("EdDSA", "zero-ed", make([]byte, 64)))
	f.add(wantUnknownKey, "RSA exponent 1", under("RS256", "exponent-1", make([]byte, 256)))
	f.add(wantUnknownKey, "RSA exponent 2", under("RS256", "exponent-2", make([]byte, 256)))

	input := b64([]byte(k.header())) + "." + b64([]byte(claims()))
	good := k.signature(input)
	for _, c := range []struct {
		name      string
		signature []byte
	}{
		{"DER signature", k.der(input)},
		{"r and s zero", make([]byte, 64)},
		{"a byte short", good[:63]},
		{"a byte long", append(append([]byte(nil), good...), 0)},
		{"r and s of 33 bytes", append(append([]byte{0}, good[:32]...), append([]byte{0}, good[32:]...)...)},
		{"r and s changed over", append(append([]byte(nil), good[32:]...), good[:32]...)},
		{"of another key", keys.es2.signature(input)},
	} {
		f.add(wantInvalid, "ES256: "+c.name, input+"."+b64(c.signature))
	}
	private := keys.ps.private.(*rsa.PrivateKey)
	input = b64([]byte(keys.ps.header())) + "." + b64([]byte(claims()))
	digest := sha256.Sum256([]byte(input))
	f.add(wantInvalid, "PS256: salt of 20 bytes", input+"."+b64(signPSS(private, digest[:], 20)))
	f.add(wantInvalid, "PS256: no salt", input+"."+b64(signPSS(private, digest[:], 0)))
	return f
}
