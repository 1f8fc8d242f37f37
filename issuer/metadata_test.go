package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func TestM1_MetadataIsWhereTheIssuerSays(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		issuer, metadata, openid, token, jwks string
	}{
		{
			"https://h.example/p/q", "/.well-known/oauth-authorization-server/p/q", "/p/q/.well-known/openid-configuration",
			"https://h.example/p/q/oauth2/token", "https://h.example/p/q/.well-known/jwks.json",
		},
		{
			"https://h.example", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
			"https://h.example/oauth2/token", "https://h.example/.well-known/jwks.json",
		},
		{
			"https://h.example:8443/p/", "/.well-known/oauth-authorization-server/p", "/p/.well-known/openid-configuration",
			"https://h.example:8443/p/oauth2/token", "https://h.example:8443/p/.well-known/jwks.json",
		},
		{
			"http://127.0.0.1:8081", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
			"http://127.0.0.1:8081/oauth2/token", "http://127.0.0.1:8081/.well-known/jwks.json",
		},
	} {
		k := newKit(t, func(c *Config) { c.Issuer = row.issuer })
		for _, path := range []string{row.metadata, row.openid} {
			w := k.get(t, path, nil)
			var m metadata
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s: GET %s: %d %s", row.issuer, path, w.Code, w.Body)
			}
			if m.Issuer != row.issuer || m.TokenEndpoint != row.token || m.JWKS != row.jwks {
				t.Errorf("%s: GET %s: %+v, want issuer as configured, %s and %s", row.issuer, path, m, row.token, row.jwks)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("%s: Content-Type %q", path, got)
			}
		}
	}
}

func TestM2_IssuerIsTheConfiguredOneWhateverHostSays(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	want := k.get(t, k.place.metadataPath(), nil).Body.String()
	for _, path := range []string{k.place.metadataPath(), k.place.openidPath()} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?issuer=https://evil.example", nil)
		r.Host = "evil.example"
		for _, h := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Original-URL", "X-Forwarded-Port"} {
			r.Header.Set(h, "host=evil.example;proto=http")
		}
		w := httptest.NewRecorder()
		k.Handler().ServeHTTP(w, r)
		if got := w.Body.String(); got != want || strings.Contains(got, "evil") {
			t.Errorf("GET %s with a foreign Host: %s, want %s", path, got, want)
		}
	}
}

func TestM3_EmptyMembersAreOmitted(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) { c.Audiences, c.Clients = nil, nil })
	var m map[string]any
	if err := json.Unmarshal(k.get(t, k.place.metadataPath(), nil).Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	for name, v := range m {
		if list, ok := v.([]any); v == nil || v == "" || (ok && len(list) == 0) {
			t.Errorf("member %s is empty: it must be left out (RFC 8414 §3.2)", name)
		}
	}
	for _, name := range []string{"scopes_supported", "response_types_supported"} {
		if _, has := m[name]; has {
			t.Errorf("member %s is there, but there is nothing to list", name)
		}
	}
}

// The test walks the document: every member must have a check here, and every check a member.
func TestM4_WhatIsAdvertisedWorksAndWhatWorksIsAdvertised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, walkTheDocument)
}

func walkTheDocument(t *testing.T) {
	k := settledKit(t)
	var m map[string]any
	if err := json.Unmarshal(k.get(t, k.place.metadataPath(), nil).Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	path := func(member string) string {
		u, err := url.Parse(m[member].(string))
		if err != nil {
			t.Fatal(err)
		}
		return u.Path
	}
	list := func(member string) (all []string) {
		for _, v := range m[member].([]any) {
			all = append(all, v.(string))
		}
		return all
	}
	checks := map[string]func(){
		"issuer":         func() { k.token(t, shop()) },
		"token_endpoint": func() { k.advertised(t, path("token_endpoint"), http.MethodPost) },
		"jwks_uri":       func() { k.walkKeys(t, path("jwks_uri")) },
		"scopes_supported": func() {
			if diff := cmp.Diff([]string{"invoices:read", "orders:read", "orders:write", "secrets:read"}, list("scopes_supported")); diff != "" {
				t.Errorf("scopes_supported (-want +got):\n%s", diff)
			}
		},
		"grant_types_supported":                 func() { k.walkGrants(t, list("grant_types_supported")) },
		"token_endpoint_auth_methods_supported": func() { k.walkMethods(t, k.post, list("token_endpoint_auth_methods_supported")) },
		"revocation_endpoint":                   func() { k.advertised(t, path("revocation_endpoint"), http.MethodPost) },
		"token_endpoint_auth_signing_alg_values_supported": func() {
			k.walkAlgorithms(t, k.post, list("token_endpoint_auth_signing_alg_values_supported"))
		},
		"revocation_endpoint_auth_signing_alg_values_supported": func() {
			k.walkAlgorithms(t, k.postRevoke, list("revocation_endpoint_auth_signing_alg_values_supported"))
		},
		"revocation_endpoint_auth_methods_supported": func() {
			k.walkMethods(t, k.postRevoke, list("revocation_endpoint_auth_methods_supported"))
		},
		"introspection_endpoint": func() { k.advertised(t, path("introspection_endpoint"), http.MethodPost) },
		"introspection_endpoint_auth_methods_supported": func() {
			k.walkMethods(t, k.postIntrospect, list("introspection_endpoint_auth_methods_supported"))
		},
		"introspection_endpoint_auth_signing_alg_values_supported": func() {
			k.walkAlgorithms(t, k.postIntrospect, list("introspection_endpoint_auth_signing_alg_values_supported"))
		},
		"introspection_signing_alg_values_supported": func() {
			header, _ := decoded(t, k.ask(t, "orders", "x", string(asSigned)).Body.String())
			if diff := cmp.Diff([]string{header["alg"].(string)}, list("introspection_signing_alg_values_supported")); diff != "" {
				t.Errorf("introspection_signing_alg_values_supported (-used +advertised):\n%s", diff)
			}
		},
	}
	for member := range m {
		if checks[member] == nil {
			t.Errorf("member %s is advertised, and nothing here proves it", member)
		}
	}
	for member, check := range checks {
		if m[member] == nil {
			t.Errorf("member %s is missing", member)
			continue
		}
		check()
	}
	for _, p := range []string{"/oauth2/authorize", "/oauth2/register", "/oauth2/device", "/oauth2/par", "/userinfo"} {
		if w := k.get(t, k.place.path+p, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d and is not advertised", p, w.Code)
		}
	}
}

func (k *kit) advertised(t *testing.T, path, method string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(shop("token", "x").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("%s %s, as advertised: %d %s", method, path, w.Code, w.Body)
	}
}

// walkKeys: the algorithm of the published keys is the one that tokens are signed with.
func (k *kit) walkKeys(t *testing.T, path string) {
	t.Helper()
	keys, err := verifier.ParseJWKS(k.get(t, path, nil).Body.Bytes())
	if err != nil {
		t.Fatalf("JWKS: %v", err)
	}
	header, _ := decoded(t, k.jwt(t, k.token(t, shop()).AccessToken, "orders-api"))
	key, err := keys.Key(t.Context(), header["kid"].(string))
	if err != nil || key.Algorithm != header["alg"] {
		t.Errorf("token has kid %v and alg %v; published: %v, %v", header["kid"], header["alg"], key.Algorithm, err)
	}
}

func (k *kit) walkGrants(t *testing.T, advertised []string) {
	t.Helper()
	for _, g := range []string{
		"client_credentials", "authorization_code", "refresh_token", "password", "implicit",
		"urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:device_code",
	} {
		w := k.post(t, shop("grant_type", g), nil)
		if works := w.Code == http.StatusOK; works != slices.Contains(advertised, g) {
			t.Errorf("grant %s: works %v, advertised %v", g, works, !works)
		}
	}
}

// walkMethods: post is the endpoint that is tried, with a form that is right but for the authentication.
func (k *kit) walkMethods(t *testing.T, post func(testing.TB, url.Values, http.Header) *httptest.ResponseRecorder, advertised []string) {
	t.Helper()
	grantOnly := func() url.Values {
		f := grantOnly()
		f.Set("token", "x")
		return f
	}
	assertion := grantOnly()
	assertion.Set("client_assertion", assert())
	assertion.Set("client_assertion_type", assertionType)
	none := grantOnly()
	none.Set("client_id", "shop")
	for method, answer := range map[string]*httptest.ResponseRecorder{
		"client_secret_basic": post(t, grantOnly(), basic("shop", shopSecret)),
		"client_secret_post":  post(t, shop("token", "x"), nil),
		"private_key_jwt":     post(t, assertion, nil),
		"none":                post(t, none, nil),
	} {
		if works := answer.Code == http.StatusOK; works != slices.Contains(advertised, method) {
			t.Errorf("method %s: works %v, advertised %v", method, works, !works)
		}
	}
}

// walkAlgorithms: what is advertised can be signed with, `none` and secrets shared with the issuer cannot.
func (k *kit) walkAlgorithms(t *testing.T, post func(testing.TB, url.Values, http.Header) *httptest.ResponseRecorder, advertised []string) {
	t.Helper()
	for _, alg := range []string{"ES256", "EdDSA", "RS256", "PS256", "none", "HS256"} {
		w := post(t, asserting(assert("alg", alg), "token", "x"), nil)
		if works := w.Code == http.StatusOK; works != slices.Contains(advertised, alg) {
			t.Errorf("algorithm %s: works %v, advertised %v: %s", alg, works, !works, w.Body)
		}
	}
}

func TestM3_SigningAlgorithmsOfClientsAreNamed(t *testing.T) {
	t.Parallel()
	for _, offered := range []bool{true, false} {
		k := newKit(t, func(c *Config) {
			if !offered {
				c.Names = nil
				delete(c.Clients, "signing")
			}
		})
		var m map[string][]string
		_ = json.Unmarshal(k.get(t, k.place.metadataPath(), nil).Body.Bytes(), &m) // other members are no lists
		for _, endpoint := range []string{"token", "revocation"} {
			methods, algorithms := m[endpoint+"_endpoint_auth_methods_supported"], m[endpoint+"_endpoint_auth_signing_alg_values_supported"]
			if slices.Contains(methods, "private_key_jwt") != offered || (len(algorithms) > 0) != offered || slices.Contains(algorithms, "none") {
				t.Errorf("private_key_jwt offered: %v; metadata of the %s endpoint: methods %v, algorithms %v", offered, endpoint, methods, algorithms)
			}
		}
	}
}
