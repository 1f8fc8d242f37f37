package verifier_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

// OnRefused hears each refusal once, with its cause and without the token; the answer is that of a verifier without it.
func TestOnRefusedHearsWhy(t *testing.T) {
	t.Parallel()
	k := testKeys().es
	for _, c := range []struct {
		name   string
		keys   verifier.KeySource
		fields []string
		scopes []string
		want   error
	}{
		{"nothing sent", staticKeys(), nil, nil, verifier.ErrNoToken},
		{"two fields", staticKeys(), []string{"Bearer " + k.access(), "Bearer " + k.access()}, nil, verifier.ErrMalformed},
		{"of another audience", staticKeys(), []string{"Bearer " + k.access("aud", `"billing-api"`)}, nil, verifier.ErrInvalid},
		{"expired", staticKeys(), []string{"Bearer " + k.access("exp", "1767225000")}, nil, verifier.ErrExpired},
		{"unknown key", staticKeys(), []string{"Bearer " + testKeys().es2.access()}, nil, verifier.ErrUnknownKey},
		{"no JWT", staticKeys(), []string{"Bearer eyJub3Q.YS1qd3Q.c2VjcmV0"}, nil, verifier.ErrInvalid},
		{"a scope is missing", staticKeys(), []string{"Bearer " + k.access()}, []string{"orders:delete"}, verifier.ErrScope},
		{"no keys", brokenKeys{verifier.ErrKeysUnavailable}, []string{"Bearer " + k.access()}, nil, verifier.ErrKeysUnavailable},
		{"accepted", staticKeys(), []string{"Bearer " + k.access()}, []string{"orders:read"}, nil},
	} {
		var heard []error
		v, err := verifier.New(testIssuer, testAudience, verifier.Config{Keys: c.keys, OnRefused: func(r *http.Request, err error) {
			if r.URL.Path != "/orders" {
				t.Errorf("%s: heard of %s, want the request itself", c.name, r.URL.Path)
			}
			heard = append(heard, err)
		}})
		if err != nil {
			t.Fatal(err)
		}
		v.SetNow(testNow)
		res, body := ask(t, v, c.scopes, c.fields...)
		silent, want := ask(t, newVerifier(t, c.keys), c.scopes, c.fields...)
		if res.StatusCode != silent.StatusCode || body != want || res.Header.Get("WWW-Authenticate") != silent.Header.Get("WWW-Authenticate") {
			t.Errorf("%s: %d %q, without OnRefused %d %q", c.name, res.StatusCode, body, silent.StatusCode, want)
		}
		if c.want == nil {
			if len(heard) != 0 {
				t.Errorf("%s: heard %v, want nothing", c.name, heard)
			}
			continue
		}
		if len(heard) != 1 || !errors.Is(heard[0], c.want) {
			t.Errorf("%s: heard %v, want one %v", c.name, heard, c.want)
			continue
		}
		for _, field := range c.fields {
			for part := range strings.SplitSeq(strings.TrimPrefix(field, "Bearer "), ".") {
				if strings.Contains(heard[0].Error(), part) {
					t.Errorf("%s: %q holds a piece of the token", c.name, heard[0])
				}
			}
		}
	}
}

// An issuer whose certificate a private CA has signed needs a client that knows it; redirects stay off with it.
func TestClientOfConfigFetchesTheKeys(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // of a client that refuses our certificate
	server.StartTLS()
	defer server.Close()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(keySet(testKeys().es))) })
	mux.Handle("/away", http.RedirectHandler("/jwks", http.StatusFound))
	mux.HandleFunc(metadataPath, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(metadata(server.URL, server.URL+"/jwks")))
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	private := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for _, c := range []struct {
		name   string
		url    string
		client *http.Client
		want   error
	}{
		{"discovered", "", private, nil},
		{"configured", server.URL + "/jwks", private, nil},
		{"behind a redirect", server.URL + "/away", private, verifier.ErrKeysUnavailable},
		{"without a client", "", nil, verifier.ErrKeysUnavailable},
	} {
		v, err := verifier.New(server.URL, testAudience, verifier.Config{JWKSURL: c.url, Client: c.client})
		if err != nil {
			t.Fatal(err)
		}
		v.SetNow(testNow)
		if _, err := v.Verify(t.Context(), testKeys().es.access("iss", `"`+server.URL+`"`)); !errors.Is(err, c.want) {
			t.Errorf("%s: Verify = %v, want %v", c.name, err, c.want)
		}
	}
}
