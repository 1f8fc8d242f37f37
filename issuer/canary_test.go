package issuer

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Nothing secret is in the log or in the wrong answer, in clear or in the forms in which things are often written:
// not the client's secret, not the reference, not the JWTs, not the claims, not what a stranger typed in the wrong
// field.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const stray = "stray-secret-in-the-wrong-field"
	f := shop()
	f["audience"] = []string{"orders-api", "billing-api"}
	answers := k.post(t, shop("scope", "nope"), nil).Body.String()
	answers += k.post(t, grantOnly(), basic("shop", "wrong-secret-0123456789")).Body.String()
	for _, name := range []string{"grant_type", "client_id", "client_secret", "scope", "audience", "resource", "other"} {
		k.post(t, shop(name, stray), nil)
		k.post(t, url.Values{name: {stray, stray}}, nil)
		k.postRevoke(t, revocationOf("x", name, stray), nil)
	}
	k.send(t, stray, http.Header{"Content-Type": {stray}})
	k.get(t, "/"+stray+"?"+stray, http.Header{"Authorization": {"Bearer " + stray}})
	k.post(t, grantOnly(), http.Header{"Authorization": {"Basic " + stray}})
	k.postRevoke(t, revocationOf(stray), nil)
	k.operate(t, "POST", "/v1/revocations", `{"jti":"`+stray+`"}`)
	k.operate(t, "GET", "/v1/tokens/"+stray, "")
	k.operate(t, "GET", "/v1/tokens?client="+stray, "")

	canaries := []string{shopSecret, "wrong-secret-0123456789", stray, "acme-canary-claim"}
	for range 20 {
		a := k.token(t, f)
		canaries = append(canaries, a.AccessToken)
		for _, audience := range []string{"orders-api", "billing-api"} {
			raw := k.jwt(t, a.AccessToken, audience)
			canaries = append(canaries, raw, raw[strings.LastIndex(raw, ".")+1:])
		}
	}
	for _, token := range canaries[len(canaries)-5:] {
		answers += k.postRevoke(t, revocationOf(token, "client_id", "single"), nil).Body.String()
		answers += k.operate(t, "POST", "/v1/revocations", `{"jti":"`+token+`"}`).Body.String()
		answers += k.operate(t, "GET", "/v1/tokens?family="+token, "").Body.String()
		wantRevoked(t, "a canary", k.postRevoke(t, revocationOf(token), nil))
	}
	log := k.log.String()
	if n := strings.Count(log, `"outcome":"issued"`); n < 20 {
		t.Fatalf("%d lines about tokens, want 20: the test looks at nothing", n)
	}
	for _, c := range canaries {
		for n := 0; n+16 <= len(c); n += 4 {
			piece := c[n : n+16]
			for form, text := range map[string]string{
				"clear": piece, "hex": hex.EncodeToString([]byte(piece)), "base64": base64.StdEncoding.EncodeToString([]byte(piece))[:20],
				"percent": url.QueryEscape(piece),
			} {
				if strings.Contains(log, text) {
					t.Errorf("the log holds %q, a piece of a canary, in %s form", text, form)
				}
				if strings.Contains(answers, text) {
					t.Errorf("an error holds %q, a piece of a canary, in %s form", text, form)
				}
			}
		}
	}
}
