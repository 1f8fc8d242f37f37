package verifier_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

// tokenClass is one thing that an issuer of OAuth signs or accepts.
type tokenClass struct {
	name    string
	typ     string // empty: the header has none
	payload string
}

// tokenClasses are as alike as they can be: the same issuer, audience, key and lifetime, and even the claims of
// an access token, so that only the class keeps them apart.
func tokenClasses() []tokenClass {
	return []tokenClass{
		{"access token", "at+jwt", claims()},
		{"manifest", "coatcheck-manifest+jwt", claims("version", "1")},
		{"introspection answer", "token-introspection+jwt", claims("token_introspection", `{"active":true}`)},
		{"DPoP proof", "dpop+jwt", claims("htm", `"GET"`, "htu", `"https://orders.example.com/"`)},
		{"client assertion", "client-authentication+jwt", claims()},
		{"logout token", "logout+jwt", claims("events", `{"http://schemas.openid.net/event/backchannel-logout":{}}`)},
		{"security event", "secevent+jwt", claims("events", `{}`)},
		{"plain JWT", "JWT", claims()},
		{"JWT without typ", "", claims()},
	}
}

func (c tokenClass) token(k testKey) string {
	if c.typ == "" {
		return k.token(fmt.Sprintf(`{"alg":%q,"kid":%q}`, k.alg, k.kid), c.payload)
	}
	return k.token(k.headerOf(c.typ), c.payload)
}

// Every class is asked for, and every class is presented.
func TestA12_NoClassPassesAsAnother(t *testing.T) {
	t.Parallel()
	keys := staticKeys()
	for _, expected := range tokenClasses() {
		for _, presented := range tokenClasses() {
			t.Run(presented.name+" for "+expected.name, func(t *testing.T) {
				t.Parallel()
				e := verifier.Expect{Type: expected.typ, Issuer: testIssuer, Audience: testAudience}
				_, err := verifier.Signed(t.Context(), keys, presented.token(testKeys().es), e, testNow)
				switch {
				case expected.typ == "": // no class to ask for: a mistake of the caller, not of the token
					if err == nil || errors.Is(err, verifier.ErrInvalid) {
						t.Errorf("Signed without Expect.Type = %v, want an error about Expect", err)
					}
				case expected.name == presented.name:
					if err != nil {
						t.Errorf("Signed = %v, want it accepted", err)
					}
				case !errors.Is(err, verifier.ErrInvalid):
					t.Errorf("Signed = %v, want ErrInvalid", err)
				}
			})
		}
	}
	vectorsClasses().run(t)
}

// The same for a service: only the access token passes. Assertions in the wild have typ JWT, or none, and name
// the client as issuer; these are the rows "plain JWT", "JWT without typ" and the last one.
func vectorsClasses() *vectorFile {
	f := newVectors("classes", "Only an access token is an access token (RFC 8725 §3.11, §3.12): same issuer, audience, key and claims, another class.")
	k := testKeys().es
	for _, c := range tokenClasses() {
		want := wantInvalid
		if c.typ == "at+jwt" {
			want = wantOK
		}
		f.add(want, c.name, c.token(k))
	}
	f.add(wantInvalid, "client assertion of RFC 7523 that calls itself at+jwt",
		k.access("iss", `"partner-shop"`, "sub", `"partner-shop"`, "aud", `"`+testIssuer+`"`))
	return f
}
