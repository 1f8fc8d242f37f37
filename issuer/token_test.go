package issuer

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func TestT1_PostOnlyAndNothingFromTheQuery(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post"} {
		r := httptest.NewRequestWithContext(t.Context(), method, k.place.tokenPath()+"?"+shop().Encode(), strings.NewReader(shop().Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		k.Handler().ServeHTTP(w, r)
		wantRefusal(t, method, w, 405, "invalid_request")
		if got := w.Header().Get("Allow"); got != "POST" {
			t.Errorf("%s: Allow %q, want POST", method, got)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", k.place.tokenPath()+"?grant_type=client_credentials&scope=orders:read",
		strings.NewReader("client_id=shop&client_secret="+shopSecret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	wantRefusal(t, "grant_type in the query", w, 400, "invalid_request")

	// A whole request in the body is neither widened, narrowed nor made ambiguous by its query.
	want := k.token(t, shop("scope", "orders:read")).Scope
	for _, query := range []string{"scope=orders:write", "audience=billing-api", "grant_type=password", "client_id=single&client_secret=x", "%zz", "scope=a;b"} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", k.place.tokenPath(), strings.NewReader(shop("scope", "orders:read").Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		k.Handler().ServeHTTP(w, r)
		var a tokenAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || a.Scope != want {
			t.Errorf("query %q beside a whole body: %d %s, want a token of scope %q", query, w.Code, w.Body, want)
		}
	}
}

func TestT7_CredentialsInTheQueryAreNotHonoured(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", k.place.tokenPath()+"?client_id=shop&client_secret="+shopSecret,
		strings.NewReader(grantOnly().Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	wantRefusal(t, "credentials in the query", w, 401, "invalid_client")
}

func TestT9_NoRefreshToken(t *testing.T) {
	t.Parallel()
	var members map[string]any
	if err := json.Unmarshal(newKit(t).post(t, shop("scope", "orders:read"), nil).Body.Bytes(), &members); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"access_token": members["access_token"], "token_type": "Bearer", "expires_in": members["expires_in"], "scope": "orders:read",
	}
	if diff := cmp.Diff(want, members); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestT11_TheAnswerTellsTheTruth(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, row := range []struct {
		name, client, ask, want string
		life                    time.Duration
	}{
		{"nothing asked", "shop", "", "orders:read orders:write", 10 * time.Minute},
		{"the same asked", "shop", "orders:write orders:read", "orders:read orders:write", 10 * time.Minute},
		{"less asked", "shop", "orders:read", "orders:read", 10 * time.Minute},
		{"asked twice", "shop", "orders:read orders:read  orders:read", "orders:read", 10 * time.Minute},
		{"a client of shorter life", "single", "", "orders:read orders:write", time.Minute},
	} {
		before := time.Now()
		a := k.token(t, shop("client_id", row.client, "scope", row.ask))
		after := time.Now()
		if a.TokenType != "Bearer" || a.Scope != row.want {
			t.Errorf("%s: token_type %q, scope %q; want Bearer, %q", row.name, a.TokenType, a.Scope, row.want)
		}
		g := k.swap(t, a.AccessToken)
		// True at the moment of the answer, which lies between before and after; never more than is left.
		low, high := g.ExpiresAt().Sub(after), g.ExpiresAt().Sub(before)
		if got := time.Duration(a.ExpiresIn) * time.Second; got > high || got <= low-time.Second {
			t.Errorf("%s: expires_in %v, but the reference lives for another %v", row.name, got, high)
		}
		if low > row.life || high <= row.life-time.Second {
			t.Errorf("%s: the reference lives for %v, want %v in whole seconds", row.name, high, row.life)
		}
		claims := k.verified(t, k.jwt(t, a.AccessToken, "orders-api"), "orders-api")
		if !claims.ExpiresAt.Equal(g.ExpiresAt()) || claims.ID != g.JTI() {
			t.Errorf("%s: JWT has exp %v and jti %s, manifest %v and %s", row.name, claims.ExpiresAt, claims.ID, g.ExpiresAt(), g.JTI())
		}
	}
}

func TestT13_GrantAndScopeErrors(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, row := range []struct {
		name string
		form url.Values
		code string
	}{
		{"unknown grant", shop("grant_type", "password"), "unsupported_grant_type"},
		{"grant in capitals", shop("grant_type", "CLIENT_CREDENTIALS"), "unsupported_grant_type"},
		{"grant with a space", shop("grant_type", "client_credentials "), "unsupported_grant_type"},
		{"grant not registered for this client", shop("client_id", "without-grant"), "unauthorized_client"},
		{"no grant", shop("grant_type", ""), "invalid_request"},
		{"unknown scope", shop("scope", "orders:fly"), "invalid_scope"},
		{"one unknown scope among known ones", shop("scope", "orders:read orders:fly"), "invalid_scope"},
		{"scope that others may have", shop("client_id", "single", "scope", "invoices:read"), "invalid_scope"},
		{"scope that nobody here may have", shop("scope", "secrets:read"), "invalid_scope"},
		{"scope of an audience not asked for", shop("audience", "orders-api", "scope", "invoices:read"), "invalid_scope"},
		{"scope with a tab", shop("scope", "orders:read\torders:write"), "invalid_scope"},
		{"scope with a quote", shop("scope", `orders:"read`), "invalid_scope"},
		{"scope in capitals", shop("scope", "ORDERS:READ"), "invalid_scope"},
	} {
		w := k.post(t, row.form, nil)
		wantRefusal(t, row.name, w, 400, row.code)
	}
	same := k.post(t, shop("scope", "secrets:read"), nil).Body.String()
	other := k.post(t, shop("scope", "secrets:reed"), nil).Body.String()
	if strings.Replace(other, "reed", "read", 1) != same {
		t.Errorf("an existing scope of others and one that does not exist differ: %s and %s", same, other)
	}
}

// What the endpoint hands out is a reference with 43 random base62 characters: 256 bits, and 160 are asked for. That
// they are random is proved where they are made, in package exchange, with a million of them.
func TestT17_AnswersCarryEnoughChance(t *testing.T) {
	t.Parallel()
	const prefix, random, half, count = len("cck_"), 43, 22, 500
	k := newKit(t)
	fronts, backs := map[string]bool{}, map[string]bool{}
	for range count {
		reference := k.token(t, shop("client_id", "single")).AccessToken
		if _, err := k.stamper.Parse(reference); err != nil || len(reference) < prefix+random {
			t.Fatalf("answer is no reference of ours: %v", err)
		}
		fronts[reference[prefix:prefix+half]] = true
		backs[reference[prefix+half:prefix+random]] = true
	}
	if len(fronts) != count || len(backs) != count {
		t.Errorf("of %d answers %d begin alike and %d end alike", count, count-len(fronts), count-len(backs))
	}
}

func TestA1_AccessTokenIsRFC9068(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	f := shop()
	f["audience"] = []string{"orders-api", "billing-api"}
	a := k.token(t, f)
	jti := k.swap(t, a.AccessToken).JTI()
	handles := k.verified(t, k.jwt(t, a.AccessToken, "orders-api"), "orders-api").Handles
	for audience, scope := range map[string]string{"orders-api": "orders:read orders:write", "billing-api": "invoices:read"} {
		raw := k.jwt(t, a.AccessToken, audience)
		header, payload := decoded(t, raw)
		r, err := k.keeper.Current()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": r.Active().ID()}, header); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", audience, diff)
		}
		want := map[string]any{
			"iss": testIssuer, "sub": "client:shop", "aud": audience, "client_id": "shop", "scope": scope, "jti": jti,
			"iat": payload["iat"], "exp": payload["iat"].(float64) + 600, "tenant": "acme-canary-claim",
			"handles": map[string]any{"client": handles.Client, "family": handles.Family, "subject": handles.Subject},
		}
		if diff := cmp.Diff(want, payload); diff != "" {
			t.Errorf("%s: claims (-want +got):\n%s", audience, diff)
		}
		k.verified(t, raw, audience)
		for _, other := range []string{"orders-api", "billing-api", "secret-api"} {
			v, err := verifier.New(testIssuer, other, verifier.Config{Keys: k.Keys()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(t.Context(), raw); (err == nil) != (other == audience) {
				t.Errorf("token for %s at %s: %v", audience, other, err)
			}
		}
	}
	for _, h := range []string{handles.Client, handles.Family, handles.Subject} {
		if raw, err := base64.RawURLEncoding.DecodeString(h); err != nil || len(raw) != 16 {
			t.Errorf("handle %q is not 16 bytes of base64url", h)
		}
	}
}

// A scope is said when there is one; a client without scopes has a token without the claim.
func TestA1_NoScopeNoClaim(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a := k.token(t, shop("client_id", "bare"))
	_, payload := decoded(t, k.jwt(t, a.AccessToken, "orders-api"))
	if _, has := payload["scope"]; has || a.Scope != "" {
		t.Errorf("scope %v in the token and %q in the answer, want none", payload["scope"], a.Scope)
	}
}

// A client may be called like a user's subject: its own subject is another.
func TestA3_ClientSubjectsNeverCollideWithUsers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shopToken := k.token(t, shop())
	singleToken := k.token(t, shop("client_id", "single"))
	one := k.verified(t, k.jwt(t, shopToken.AccessToken, "orders-api"), "orders-api")
	two := k.verified(t, k.jwt(t, singleToken.AccessToken, "orders-api"), "orders-api")
	if one.Subject != "client:shop" || two.Subject != "client:single" {
		t.Errorf("subjects %q and %q, want client:shop and client:single", one.Subject, two.Subject)
	}
	if one.Handles.Subject == two.Handles.Subject || one.Handles.Client == two.Handles.Client || one.Handles.Client == one.Handles.Subject {
		t.Errorf("handles of two clients, or of two kinds, are the same: %v and %v", one.Handles, two.Handles)
	}
	again := k.verified(t, k.jwt(t, k.token(t, shop()).AccessToken, "orders-api"), "orders-api")
	if again.Handles.Client != one.Handles.Client || again.Handles.Subject != one.Handles.Subject || again.Handles.Family == one.Handles.Family {
		t.Errorf("second grant of a client: handles %v after %v, want the same but for the family", again.Handles, one.Handles)
	}
}

// Who asks gets what he asks for; who does not gets what his scopes, his defaults or his only audience say.
func TestAudiencesAreChosen(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, row := range []struct {
		name string
		form url.Values
		want []string // nil: invalid_target
	}{
		{"asked by name", shop("audience", "billing-api"), []string{"billing-api"}},
		{"asked by URI", shop("resource", "https://orders.example.com"), []string{"orders-api"}},
		{"asked by both", shop("audience", "billing-api", "resource", "https://orders.example.com"), []string{"billing-api", "orders-api"}},
		{"the owners of the scopes", shop("scope", "invoices:read orders:read"), []string{"billing-api", "orders-api"}},
		{"the owner of the scope, not the default", shop("scope", "invoices:read"), []string{"billing-api"}},
		{"the default", shop(), []string{"orders-api"}},
		{"the only one", shop("client_id", "single"), []string{"orders-api"}},
		{"several and no default", shop("client_id", "undecided"), nil},
		{"asked for what others have", shop("audience", "secret-api"), nil},
		{"asked for what nobody has", shop("audience", "no-api"), nil},
		{"the edge's own audience", shop("audience", exchange.ManifestAudience), nil},
		{"one of two unknown", shop("audience", "orders-api", "resource", "https://evil.example"), nil},
		{"URI where a name belongs", shop("audience", "https://orders.example.com"), nil},
		{"name where a URI belongs", shop("resource", "orders-api"), nil},
		{"URI with a fragment", shop("resource", "https://orders.example.com#x"), nil},
	} {
		if row.want == nil {
			wantRefusal(t, row.name, k.post(t, row.form, nil), 400, "invalid_target")
			continue
		}
		g := k.swap(t, k.token(t, row.form).AccessToken)
		got := slices.DeleteFunc([]string{"billing-api", "orders-api", "secret-api"}, func(a string) bool {
			_, has := g.Share(a)
			return !has
		})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: audiences (-want +got):\n%s", row.name, diff)
		}
	}
}

// The share of an audience holds the asked scopes that it owns, and no others.
func TestSharesAreNarrow(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	f := shop("scope", "orders:read")
	f["audience"] = []string{"orders-api", "billing-api"}
	g := k.swap(t, k.token(t, f).AccessToken)
	orders, _ := g.Share("orders-api")
	billing, _ := g.Share("billing-api")
	if !orders.Allows([]string{"orders:read"}) || orders.Allows([]string{"orders:write"}) || billing.Allows([]string{"invoices:read"}) {
		t.Error("asked for orders:read at two audiences: the shares hold something else")
	}
}

func decoded(t testing.TB, raw string) (header, payload map[string]any) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts, want 3", len(parts))
	}
	for n, into := range []*map[string]any{&header, &payload} {
		text, err := base64.RawURLEncoding.DecodeString(parts[n])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, payload
}
