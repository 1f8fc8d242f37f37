package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/google/go-cmp/cmp"
)

// B1: two ways of presenting, two lines, or two credentials in one line are a 400 and go nowhere.
func TestB1_OneCredentialByOneMethod(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g, other := h.full(), h.full()
	for name, header := range map[string][]string{
		"two lines":                {bearer(g.reference), bearer(other.reference)},
		"the same line twice":      {bearer(g.reference), bearer(g.reference)},
		"Basic and Bearer lines":   {"Authorization: Basic eDp5", bearer(g.reference)},
		"other case of the name":   {"AUTHORIZATION: Bearer " + g.reference, "authorization: Basic eDp5"},
		"joined by a comma":        {"Authorization: Bearer " + g.reference + ", Bearer " + other.reference},
		"joined without a space":   {"Authorization: Bearer " + g.reference + ",Bearer " + other.reference},
		"Basic, Bearer in a line":  {"Authorization: Basic eDp5, Bearer " + g.reference},
		"Basic,bearer in a line":   {"Authorization: Basic eDp5,bearer " + g.reference},
		"Digest with Bearer after": {`Authorization: Digest username="a", Bearer ` + g.reference},
	} {
		for _, path := range []string{"/orders/1", "/docs/1"} {
			a := h.get(path, header...)
			h.refused(a, 400, "invalid_authorization")
			if c := a.header.Get("WWW-Authenticate"); !strings.Contains(c, `error="invalid_request"`) {
				t.Errorf("%s on %s: challenge %q, want error invalid_request", name, path, c)
			}
		}
	}
	h.refused(h.get("/orders/1?access_token="+g.reference, bearer(g.reference)), 400, "credentials_in_query")
}

// B2: the scheme in any case, one or more spaces, token68; nothing else.
func TestB2_SchemeAndToken68(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.full().reference
	for _, value := range []string{"Bearer " + ref, "bearer " + ref, "BEARER " + ref, "bEaReR   " + ref} {
		if a := h.get("/orders/1", "Authorization: "+value); a.status != 200 {
			t.Errorf("Authorization of scheme %q: %d %s, want 200", value[:9], a.status, a.body)
		}
		h.one()
	}
	for _, value := range []string{
		"Bearer", "Bearer ", "Bearer\t" + ref, "Bearer \t" + ref, "Bearer " + ref + " x", "Bearer " + ref + "\tx", "Bearer " + ref + ",",
		"Bearer =", `Bearer "` + ref + `"`, "Bearer " + ref[:20] + "\x80", "Bearer <" + ref + ">", "Bearer: " + ref, "(Bearer) " + ref, `"Bearer" x`,
	} {
		h.refused(h.get("/orders/1", "Authorization: "+value), 400, "invalid_authorization")
	}
}

// The word is not searched for: a scheme is what the header begins with.
func TestBearerIsAnchored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.full().reference
	for _, value := range []string{"X Bearer " + ref, "NotBearer " + ref, "Bearer2 " + ref, "Token " + ref, "Basic Bearer " + ref, ref} {
		h.refused(h.get("/orders/1", "Authorization: "+value), 401, "credentials_required")
	}
}

// B3: a token in the query is refused however its name is spelled; one in a form is not looked at.
func TestB3_TokenInQueryOrForm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.full().reference
	for _, query := range []string{
		"access_token=" + ref, "a=1&access_token=" + ref, "access%5ftoken=" + ref, "%61ccess_token=" + ref, "ACCESS_TOKEN=" + ref, "access_token", "access_token=",
		strings.Repeat("a&", 12_000) + "access_token=" + ref, // past what net/url would parse
	} {
		h.refused(h.get("/orders/1?"+query), 400, "credentials_in_query")
		h.refused(h.get("/docs/1?"+query), 400, "credentials_in_query")
	}
	form := h.send("POST", "/orders", "access_token="+ref, "Content-Type: application/x-www-form-urlencoded")
	h.refused(form, 401, "credentials_required")
	// Nor does it add to the one in the header.
	narrow := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Minute).reference
	both := h.send("POST", "/orders", "access_token="+ref, "Content-Type: application/x-www-form-urlencoded", bearer(narrow))
	h.refused(both, 403, "insufficient_scope")
}

// B4: each 401 has a Bearer challenge; in it, and in those of 400 and 403, each attribute is there at most once, as a
// plain quoted-string.
func TestB4_ChallengeOnEvery401(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.Realm = "orders, and 'more'=1" })
	narrow := bearer(h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Minute).reference)
	for _, c := range []struct {
		path, header string
		status       int
		attributes   []string
	}{
		{"/orders/1", "X: y", 401, []string{"realm"}},
		{"/orders/1", "Authorization: Basic eDp5", 401, []string{"realm"}},
		{"/orders/1", `Authorization: Basic "><script>`, 401, []string{"realm"}},
		{"/orders/1", bearer("nonsense"), 401, []string{"realm", "error", "error_description"}},
		{"/orders/1", bearer(strings.Repeat("a", 5000)), 401, []string{"realm", "error", "error_description"}},
		{"/orders/1", bearer(`"nonsense"`), 400, []string{"realm", "error", "error_description"}},
		{"/orders/1?access_token=x", "X: y", 400, []string{"realm", "error", "error_description"}},
		{"/both", narrow, 403, []string{"realm", "error", "error_description", "scope"}},
		{"/v1/any", narrow, 403, []string{"realm", "error", "error_description"}},
	} {
		a := h.get(c.path, c.header)
		challenges := a.header.Values("WWW-Authenticate")
		if a.status != c.status || len(challenges) != 1 {
			t.Fatalf("%s with %.40q: %d with challenges %q, want %d with one", c.path, c.header, a.status, challenges, c.status)
		}
		rest, bearerFirst := strings.CutPrefix(challenges[0], "Bearer ")
		var names []string
		for _, m := range authParam.FindAllStringSubmatch(rest, -1) {
			names = append(names, m[1])
			rest = strings.Replace(rest, m[0], "", 1)
		}
		if diff := cmp.Diff(c.attributes, names); diff != "" || !bearerFirst || rest != "" {
			t.Errorf("%s with %.40q: challenge %q leaves %q unread; attributes differ: %s", c.path, c.header, challenges[0], rest, diff)
		}
	}
}

// authParam is one auth-param with the characters of RFC 6750 §3, and what follows it.
var authParam = regexp.MustCompile(`([a-z_]+)="([\x20-\x21\x23-\x5B\x5D-\x7E]*)"(?:, |$)`)

// B5: who has sent no credentials, or some of another scheme, gets a bare challenge.
func TestB5_BareChallengeWithoutCredentials(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{"X: y", "Authorization: Basic eDp5", "Authorization: Digest username=\"a\", realm=\"b\"", "Authorization: Negotiate"} {
		a := h.get("/orders/1", header)
		h.refused(a, 401, "credentials_required")
		if got, want := a.header.Get("WWW-Authenticate"), `Bearer realm="coatcheck"`; got != want {
			t.Errorf("%q: challenge %q, want %q", header, got, want)
		}
	}
}

// B6: every token that is not a live reference gets one identical 401; a missing scope or audience is a 403 that
// names the scopes.
func TestB6_OneAnswerForEveryDeadToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	live, revoked, unstored := h.full(), h.full(), h.depositor.Reference().Reveal()
	h.revoke(revocation.Token, revoked.jti)
	expired := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Second)
	eventually(t, "a grant of a second expires", func() bool {
		alive := h.get("/orders/1", bearer(expired.reference)).status == 200
		if alive {
			h.one()
		}
		return !alive
	})
	first := h.get("/orders/1", bearer("x"))
	for name, token := range map[string]string{
		"one character more": live.reference + "a", "one less": live.reference[:len(live.reference)-1],
		"another tag": live.reference[:60] + flip(live.reference[60]) + live.reference[61:], "empty prefix": live.reference[3:],
		"a jti": live.jti, "a JWT": live.jwt["orders-api"], "revoked": revoked.reference, "never stored": unstored, "expired": expired.reference,
		"URL-encoded": url.QueryEscape(live.reference) + "~", "long": strings.Repeat("A", 8000),
	} {
		a := h.get("/orders/1", bearer(token))
		h.refused(a, 401, "invalid_token")
		if diff := cmp.Diff(plain(first), plain(a)); diff != "" {
			t.Errorf("%s: the answer differs from that to another dead token:\n%s", name, diff)
		}
	}
	narrow := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Minute)
	for path, scope := range map[string]string{"/both": "orders:read orders:write", "/v1/invoices": "invoices:read"} {
		a := h.get(path, bearer(narrow.reference))
		h.refused(a, 403, "insufficient_scope")
		if c := a.header.Get("WWW-Authenticate"); !strings.Contains(c, `error="insufficient_scope"`) || !strings.HasSuffix(c, `scope="`+scope+`"`) {
			t.Errorf("%s: challenge %q, want insufficient_scope and scope %q", path, c, scope)
		}
	}
}

// B6: the same for each reason that there is, now and later; only "cannot tell" is another answer.
func TestB6_EveryReasonIsTheSame401(t *testing.T) {
	t.Parallel()
	var first answer
	for _, reason := range []exchange.Reason{
		exchange.ReasonMalformed, exchange.ReasonForged, exchange.ReasonStale, exchange.ReasonUnknown, exchange.ReasonExpired, exchange.ReasonTampered, "of a later version",
	} {
		h := newHouse(t, func(c *gateway.Config) { c.Swapper = refusing(reason) })
		a := h.get("/orders/1", bearer("x"))
		h.refused(a, 401, "invalid_token")
		if first.status == 0 {
			first = a
		}
		if diff := cmp.Diff(plain(first), plain(a)); diff != "" {
			t.Errorf("%s: the answer differs from that for another reason:\n%s", reason, diff)
		}
		if e := h.log.entry(t, 0); e["reason"] != string(reason) {
			t.Errorf("log says %v, want reason %s: quiet outside, exact inside", e, reason)
		}
	}
	h := newHouse(t, func(c *gateway.Config) { c.Swapper = refusing(exchange.ReasonUnavailable) })
	h.refused(h.get("/orders/1", bearer("x")), 503, "temporarily_unavailable")
}

// refusing refuses every reference for one reason.
type refusing exchange.Reason

func (r refusing) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return exchange.Pass{}, exchange.SourceMiss, &exchange.Refusal{Reason: exchange.Reason(r)}
}

// plain is an answer without what differs between any two.
func plain(a answer) map[string]any {
	id := a.header.Get("X-Request-Id")
	h := a.header.Clone()
	h.Del("X-Request-Id")
	h.Del("Date")
	return map[string]any{"status": a.status, "header": h, "body": strings.ReplaceAll(a.body, id, "ID")}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// The audience alone is enough to be refused: a route without scopes is not open to another audience's grant.
func TestGrantForAnotherAudienceIs403(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Minute)
	a := h.get("/v1/any", bearer(g.reference))
	h.refused(a, 403, "insufficient_scope")
	if c := a.header.Get("WWW-Authenticate"); strings.Contains(c, " scope=") {
		t.Errorf("challenge %q names scopes, the route has none", c)
	}
	if e := h.log.entry(t, 0); e["reason"] != "audience" || e["jti"] != g.jti {
		t.Errorf("log says %v, want reason audience and the jti", e)
	}
}

// A scope is asked for on every route and request, also when the cache has just answered for another.
func TestPolicyIsAskedOnCacheHits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Minute)
	for range 3 {
		if a := h.get("/orders/1", bearer(g.reference)); a.status != 200 {
			t.Fatalf("GET /orders/1: %d %s, want 200", a.status, a.body)
		}
		h.one()
		h.refused(h.send("POST", "/orders", "x", bearer(g.reference)), 403, "insufficient_scope")
		h.refused(h.get("/v1/invoices", bearer(g.reference)), 403, "insufficient_scope")
	}
}

// B7: a store that cannot answer is a 503 with Retry-After, never a 401.
func TestB7_StoreAwayIs503(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	h.records.away.Store(true)
	a := h.get("/orders/1", bearer(g.reference))
	h.refused(a, 503, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("503 has Retry-After %q and challenge %q, want one and none", a.header.Get("Retry-After"), a.header.Get("WWW-Authenticate"))
	}
	h.refused(h.get("/orders/1", bearer("made-up")), 401, "invalid_token")
	h.records.away.Store(false)
	if a := h.get("/orders/1", bearer(g.reference)); a.status != 200 {
		t.Errorf("store is back: %d %s, want 200", a.status, a.body)
	}
}

// B8: an upstream's own 401 keeps its challenge and its body.
func TestB8_UpstreamChallengePassesUnchanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("WWW-Authenticate", `Bearer realm="orders", error="invalid_token"`)
		w.Header().Add("WWW-Authenticate", `DPoP algs="ES256"`)
		w.WriteHeader(401)
		_, _ = w.Write([]byte("theirs"))
	})
	a := h.get("/orders/1", bearer(h.full().reference))
	want := []string{`Bearer realm="orders", error="invalid_token"`, `DPoP algs="ES256"`}
	if diff := cmp.Diff(want, a.header.Values("WWW-Authenticate")); a.status != 401 || a.body != "theirs" || diff != "" || a.header.Get("Gateway-Error") != "" {
		t.Errorf("answer %d %q, Gateway-Error %q, challenges differ: %s", a.status, a.body, a.header.Get("Gateway-Error"), diff)
	}
}

// B9: a JWT from inside is refused like any other string, also while its jti is in the store.
func TestB9_InternalJWTIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	for _, jwt := range g.jwt {
		h.refused(h.get("/orders/1", bearer(jwt)), 401, "invalid_token")
	}
	h.refused(h.get("/orders/1", bearer(g.jti)), 401, "invalid_token")
}

// B10: what belongs on one side of the edge is not found on the other, nor in between.
func TestB10_NoCredentialOnTheWrongSide(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	var outside strings.Builder
	for _, a := range []answer{
		h.get("/orders/1", bearer(g.reference)),
		h.get("/docs/1", bearer(g.reference)),
		h.get("/nowhere", bearer(g.reference)),
		h.send("DELETE", "/orders", "", bearer(g.reference)),
		h.send("TRACE", "/orders/1", "", bearer(g.reference)),
		h.get("/orders/1", bearer(g.reference), bearer(g.reference)),
		h.get("/orders/1?access_token=" + g.reference),
		h.get("/orders/..;/"+g.reference, bearer(g.reference)),
		h.get("/orders/1", bearer(g.reference), "X-Request-Id: "+g.reference),
		h.get("/orders/1", bearer(g.jwt["orders-api"])),
		h.send(g.reference, "/orders/1", "", bearer(g.reference)),
		h.send("POST", "/orders", strings.Repeat("x", 2<<20), bearer(g.reference)),
	} {
		outside.WriteString(a.body)
		_ = a.header.Write(&outside)
	}
	h.service.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	a := h.get("/orders/1", bearer(g.reference))
	outside.WriteString(a.body)
	h.log.entry(t, 12) // all thirteen are written

	var inside strings.Builder
	for _, r := range h.service.requests() {
		inside.WriteString(r.method + r.line + r.host + r.body)
		_ = r.header.Write(&inside)
	}
	if !strings.Contains(inside.String(), g.jwt["orders-api"]) {
		t.Fatal("no JWT has reached the upstream: the test shows nothing")
	}
	absent(t, "upstream", inside.String(), g.reference)
	absent(t, "log", h.log.String(), g.reference, g.jwt["orders-api"], g.jwt["billing-api"])
	absent(t, "client", outside.String(), g.reference, g.jwt["orders-api"], g.jwt["billing-api"])
}

// absent looks for pieces of secrets, and for what a dump might make of them. The prefix is no secret, and what all
// JWTs of one issuer begin with is none either.
func absent(t *testing.T, place, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		s = s[4:]
		if i := strings.LastIndexByte(s, '.'); i >= 0 {
			s = s[i+1:] // the signature: what makes it a credential
		}
		for i := 0; i+16 <= len(s); i += 4 {
			piece := s[i : i+16]
			for _, form := range []string{piece, base64.StdEncoding.EncodeToString([]byte(piece))[:20], hex.EncodeToString([]byte(piece))} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q, a piece of a credential", place, form)
					return
				}
			}
		}
	}
}
