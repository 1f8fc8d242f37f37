package verifier_test

import (
	"strings"
	"testing"
)

func TestA2_OnlyAccessTokensOfThisIssuerForThisAudience(t *testing.T) {
	t.Parallel()
	vectorsProfile().run(t)
}

func vectorsProfile() *vectorFile {
	f := newVectors("profile", "The access token profile of RFC 9068: typ, iss, aud and the required claims (§2, §4).")
	k := testKeys()
	f.add(wantOK, "ES256", k.es.access())
	f.add(wantOK, "EdDSA", k.ed.access())
	f.add(wantOK, "RS256", k.rs.access())
	f.add(wantOK, "PS256", k.ps.access())
	f.add(wantOK, "typ as a whole media type, in other case", k.es.token(k.es.headerOf("Application/AT+JWT"), claims()))
	f.add(wantOK, "aud is an array that names us", k.es.access("aud", `["billing-api","orders-api"]`))
	f.add(wantOK, "no scope and no handles", k.es.access("scope", "", "handles", ""))

	f.add(wantInvalid, "typ JWT", k.es.token(k.es.headerOf("JWT"), claims()))
	f.add(wantInvalid, "typ is empty", k.es.token(k.es.headerOf(""), claims()))
	f.add(wantInvalid, "no typ", k.es.token(`{"alg":"ES256","kid":"es256-a"}`, claims()))
	f.add(wantInvalid, "typ application/at+jwt twice prefixed", k.es.token(k.es.headerOf("application/application/at+jwt"), claims()))
	f.add(wantInvalid, "iss of another issuer", k.es.access("iss", `"https://evil.example.com"`))
	f.add(wantInvalid, "iss with a slash more", k.es.access("iss", `"https://auth.example.com/"`))
	f.add(wantInvalid, "iss in other case", k.es.access("iss", `"https://AUTH.example.com"`))
	f.add(wantInvalid, "iss is an array", k.es.access("iss", `["https://auth.example.com"]`))
	f.add(wantInvalid, "aud of the neighbour", k.es.access("aud", `"billing-api"`))
	f.add(wantInvalid, "aud with our name inside", k.es.access("aud", `"orders-api-v2"`))
	f.add(wantInvalid, "aud in other case", k.es.access("aud", `"Orders-API"`))
	f.add(wantInvalid, "aud is an empty array", k.es.access("aud", `[]`))
	f.add(wantInvalid, "aud is an empty string", k.es.access("aud", `""`))
	f.add(wantInvalid, "aud is null", k.es.access("aud", `null`))
	f.add(wantInvalid, "aud is a number", k.es.access("aud", `7`))
	f.add(wantInvalid, "aud is an object", k.es.access("aud", `{"orders-api":true}`))
	f.add(wantInvalid, "aud names us beside a number", k.es.access("aud", `["orders-api",7]`))
	for _, name := range []string{"iss", "aud", "exp", "iat", "sub", "client_id", "jti"} {
		f.add(wantInvalid, "no "+name, k.es.access(name, ""))
	}
	for _, name := range []string{"sub", "client_id", "jti"} {
		f.add(wantInvalid, name+" is empty", k.es.access(name, `""`))
		f.add(wantInvalid, name+" is a number", k.es.access(name, `42`))
		f.add(wantInvalid, name+" is null", k.es.access(name, `null`))
	}
	f.add(wantInvalid, "scope is an array", k.es.access("scope", `["orders:read"]`))
	f.add(wantInvalid, "handles is a string", k.es.access("handles", `"x"`))
	f.add(wantInvalid, "a handle is a number", k.es.access("handles", `{"client":1}`))
	f.add(wantInvalid, "the payload is an array", k.es.token(k.es.header(), `[`+claims()+`]`))
	f.add(wantInvalid, "the payload is no JSON", k.es.token(k.es.header(), "iss="+testIssuer))
	f.add(wantInvalid, "the payload has something behind it", k.es.token(k.es.header(), claims()+"{}"))
	f.add(wantUnknownKey, "a kid that is not in the set", testKeys().es2.access())
	return f
}

func TestA4_DuplicateNamesAreRefused(t *testing.T) {
	t.Parallel()
	vectorsNames().run(t)
}

func vectorsNames() *vectorFile {
	f := newVectors("names", "Members of one object have different names (RFC 7515 §4, RFC 7519 §4); at the top level they differ in more than case; a claim is found by its exact name.")
	k := testKeys().es
	twice := func(extra string) string { return k.token(k.header(), strings.TrimSuffix(claims(), "}")+","+extra+"}") }
	head := func(extra string) string { return k.token(strings.TrimSuffix(k.header(), "}")+","+extra+"}", claims()) }
	f.add(wantInvalid, "sub twice", twice(`"sub":"admin"`))
	f.add(wantInvalid, "sub twice with the same value", twice(`"sub":"client:partner-shop"`))
	f.add(wantInvalid, "sub twice, once with an escape in its name", twice(`"\u0073ub":"admin"`))
	f.add(wantInvalid, "sub and SUB", twice(`"SUB":"admin"`))
	f.add(wantInvalid, "sub and a long s with ub", twice(`"ſub":"admin"`))
	f.add(wantInvalid, "aud twice", twice(`"aud":"billing-api"`))
	f.add(wantInvalid, "exp twice", twice(`"exp":9999999999`))
	f.add(wantInvalid, "a claim of the service twice", twice(`"tenant":"evil"`))
	f.add(wantInvalid, "a name twice in a nested object", twice(`"a":[{"b":{"c":1,"c":2}}]`))
	f.add(wantInvalid, "two names that are no UTF-8", twice("\"\xff\":1,\"\xfe\":2"))
	f.add(wantInvalid, "two names of lone surrogates", twice(`"\ud800":1,"\ud801":2`))
	f.add(wantInvalid, "SUB alone", k.access("sub", "", "SUB", `"client:partner-shop"`))
	f.add(wantInvalid, "alg twice in the header", head(`"alg":"none"`))
	f.add(wantInvalid, "kid twice in the header", head(`"kid":"eddsa-a"`))
	f.add(wantInvalid, "typ and TYP in the header", head(`"TYP":"JWT"`))
	f.add(wantInvalid, "Kid alone in the header", k.token(`{"typ":"at+jwt","alg":"ES256","Kid":"es256-a"}`, claims()))
	f.add(wantOK, "an escape in a name that occurs once", k.access("sub", "", `\u0073ub`, `"client:partner-shop"`))
	f.add(wantOK, "one name in two objects, and two cases of a nested one", twice(`"a":{"sub":1,"x":2,"X":3}`))
	return f
}

func TestA10_TimeIsChecked(t *testing.T) {
	t.Parallel()
	vectorsDates().run(t)
}

func vectorsDates() *vectorFile {
	f := newVectors("dates", "exp, nbf and iat (RFC 7519 §2, §4.1.4 to §4.1.6) with leeway 0. An iat up to 60 seconds ahead is another clock's.")
	k := testKeys().es
	for _, c := range []struct{ want, name, value string }{
		{wantOK, "one second ahead", "1767225601"},
		{wantOK, "half a second ahead", "1767225600.5"},
		{wantOK, "ahead, with an exponent", "1.76722614e9"},
		{wantOK, "far ahead", "9999999999"},
		{wantExpired, "now", "1767225600"},
		{wantExpired, "now, as a float", "1767225600.0"},
		{wantExpired, "a second ago", "1767225599"},
		{wantExpired, "zero", "0"},
		{wantInvalid, "negative", "-1"},
		{wantInvalid, "negative and large", "-1e300"},
		{wantInvalid, "a string", `"9999999999"`},
		{wantInvalid, "1e400", "1e400"},
		{wantInvalid, "1e300", "1e300"},
		{wantInvalid, "in milliseconds", "1767226140000"},
		{wantInvalid, "past 2^63", "9223372036854775808"},
		{wantInvalid, "a number of 400 digits", strings.Repeat("9", 400)},
		{wantInvalid, "null", "null"},
		{wantInvalid, "true", "true"},
		{wantInvalid, "an array", "[1767226140]"},
		{wantInvalid, "an object", "{}"},
	} {
		f.add(c.want, "exp: "+c.name, k.access("exp", c.value))
	}
	f.add(wantInvalid, "exp: missing", k.access("exp", ""))
	f.add(wantOK, "nbf: now", k.access("nbf", "1767225600"))
	f.add(wantInvalid, "nbf: a second ahead", k.access("nbf", "1767225601"))
	f.add(wantInvalid, "nbf: a string", k.access("nbf", `"0"`))
	f.add(wantInvalid, "nbf: null", k.access("nbf", "null"))
	f.add(wantOK, "iat: 60 seconds ahead", k.access("iat", "1767225660"))
	f.add(wantInvalid, "iat: 61 seconds ahead", k.access("iat", "1767225661"))
	f.add(wantInvalid, "iat: a string", k.access("iat", `"1767225540"`))
	f.add(wantInvalid, "iat: negative", k.access("iat", "-1"))
	return f
}
