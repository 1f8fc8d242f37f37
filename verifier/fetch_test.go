package verifier_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

func TestJWKSInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cacheControl string
		refresh, want      time.Duration
	}{
		{"the default", "", 0, time.Minute},
		{"configured", "", 20 * time.Second, 20 * time.Second},
		{"max-age is shorter", "public, MAX-AGE=30", 0, 30 * time.Second},
		{"max-age is longer", "max-age=3600", 0, time.Minute},
		{"max-age is quoted", `max-age="30"`, 0, 30 * time.Second},
		{"max-age is 0", "max-age=0", 0, 10 * time.Second},
		{"max-age overflows", "max-age=99999999999999999999", 0, time.Minute},
		{"max-age is negative", "max-age=-1", 0, time.Minute},
		{"max-age is no number", "max-age=soon", 0, time.Minute},
		{"configured below the floor", "", time.Second, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(keysPath, respond(200, keySet(testKeys().es), "Cache-Control", c.cacheControl))
				j := issuer.jwks(t, verifier.JWKSConfig{Refresh: c.refresh})
				wantKey(t, j, "es256-a", nil)
				time.Sleep(c.want - 1)
				wantKey(t, j, "es256-a", nil)
				synctest.Wait()
				if got := issuer.fetched(keysPath); got != 1 {
					t.Errorf("just before %v: %d fetches, want 1", c.want, got)
				}
				time.Sleep(1)
				wantKey(t, j, "es256-a", nil)
				synctest.Wait()
				if got := issuer.fetched(keysPath); got != 2 {
					t.Errorf("after %v: %d fetches, want 2", c.want, got)
				}
			})
		})
	}
}

func TestJWKSRevalidatesWithETag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysPath, respond(200, keySet(testKeys().es), "ETag", `"v1"`))
		j := issuer.jwks(t, verifier.JWKSConfig{})
		wantKey(t, j, "es256-a", nil)
		if got := issuer.lastHeader("If-None-Match"); got != "" {
			t.Errorf("the first fetch sends If-None-Match %q, want none", got)
		}
		issuer.set(keysPath, respond(304, "", "Cache-Control", "max-age=20"))
		for range 3 {
			if err := j.Refresh(t.Context()); err != nil {
				t.Errorf("Refresh answered by 304 = %v, want nil", err)
			}
			if got := issuer.lastHeader("If-None-Match"); got != `"v1"` {
				t.Errorf("If-None-Match = %q, want \"v1\"", got)
			}
		}
		wantKey(t, j, "es256-a", nil)
		before := issuer.fetched(keysPath)
		time.Sleep(20 * time.Second) // the 304 may shorten the interval
		wantKey(t, j, "es256-a", nil)
		synctest.Wait()
		if got := issuer.fetched(keysPath) - before; got != 1 {
			t.Errorf("%d fetches 20 s after a 304 with max-age=20, want 1", got)
		}
	})
}

func TestJWKSDiscovery(t *testing.T) {
	t.Parallel()
	const issuerWithPath = testIssuer + "/tenant/a"
	good := respond(200, metadata(testIssuer, testIssuer+keysPath))
	for _, c := range []struct {
		name, issuer string
		documents    map[string]stubAnswer
		want         string // a piece of the error; empty: found
	}{
		{"RFC 8414", testIssuer, map[string]stubAnswer{metadataPath: good}, ""},
		{"openid-configuration", testIssuer, map[string]stubAnswer{oidcPath: good}, ""},
		{"RFC 8414 inserts before a path", issuerWithPath, map[string]stubAnswer{
			metadataPath + "/tenant/a": respond(200, metadata(issuerWithPath, testIssuer+keysPath)),
		}, ""},
		{"OpenID appends to a path", issuerWithPath, map[string]stubAnswer{
			"/tenant/a" + oidcPath: respond(200, metadata(issuerWithPath, testIssuer+keysPath)),
		}, ""},
		{"the default port is the same origin", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer, "https://AUTH.example.com:443"+keysPath)),
		}, ""},
		{"a broken first document", testIssuer, map[string]stubAnswer{metadataPath: respond(200, "<html>"), oidcPath: good}, ""},
		{"none", testIssuer, nil, "status 404"},
		{"of another issuer", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata("https://evil.example.com", testIssuer+keysPath)),
		}, "names another issuer"},
		{"of an issuer with a slash more", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer+"/", testIssuer+keysPath)),
		}, "names another issuer"},
		{"keys at another host", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer, "https://evil.example.com"+keysPath)),
		}, "another origin"},
		{"keys at another port", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer, "https://auth.example.com:8443"+keysPath)),
		}, "another origin"},
		{"keys over http", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer, "http://auth.example.com"+keysPath)),
		}, "another origin"},
		{"keys over http at the same port", testIssuer + ":8443", map[string]stubAnswer{
			metadataPath: respond(200, metadata(testIssuer+":8443", "http://auth.example.com:8443"+keysPath)),
		}, "another origin"},
		{"keys in a file", testIssuer, map[string]stubAnswer{metadataPath: respond(200, metadata(testIssuer, "file:///etc/keys"))}, "not an absolute"},
		{"no jwks_uri", testIssuer, map[string]stubAnswer{metadataPath: respond(200, `{"issuer":"`+testIssuer+`"}`)}, "not an absolute"},
		{"issuer twice", testIssuer, map[string]stubAnswer{
			metadataPath: respond(200, `{"issuer":"x",`+metadata(testIssuer, testIssuer+keysPath)[1:]),
		}, "a name occurs twice"},
		{"behind a redirect", testIssuer, map[string]stubAnswer{
			metadataPath: respond(302, "", "Location", testIssuer+oidcPath+"2"), oidcPath + "2": good,
		}, "status 302"},
		{"endless", testIssuer, map[string]stubAnswer{metadataPath: endless(false)}, "longer than 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				issuer := newIssuer(testKeys().es)
				issuer.set(metadataPath, respond(404, ""))
				for path, document := range c.documents {
					issuer.set(path, document)
				}
				j := issuer.jwks(t, verifier.JWKSConfig{Issuer: c.issuer})
				err := j.Refresh(t.Context())
				if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("Refresh = %v, want %q in it", err, c.want)
				}
				if err != nil && (!errors.Is(err, verifier.ErrKeysUnavailable) || issuer.fetched(keysPath) != 0) {
					t.Errorf("Refresh = %v after %d fetches of keys, want ErrKeysUnavailable after none", err, issuer.fetched(keysPath))
				}
			})
		})
	}
}

// Metadata is read once; after a failure it is read again, since the keys may have moved.
func TestJWKSDiscoversAgainAfterAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := testKeys()
		issuer := newIssuer(k.es)
		issuer.set(keysPath, respond(200, keySet(k.es), "ETag", `"v1"`))
		j := issuer.jwks(t, verifier.JWKSConfig{Issuer: testIssuer})
		for range 2 {
			if err := j.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := issuer.fetched(metadataPath); got != 1 {
			t.Errorf("metadata was read %d times for two fetches, want 1", got)
		}
		issuer.set(keysPath, respond(410, ""))
		issuer.set("/moved", respond(200, keySet(k.es2)))
		issuer.set(metadataPath, respond(200, metadata(testIssuer, testIssuer+"/moved")))
		if err := j.Refresh(t.Context()); err == nil {
			t.Error("Refresh of a key set that is gone = nil, want an error")
		}
		if err := j.Refresh(t.Context()); err != nil {
			t.Errorf("Refresh after the keys have moved = %v, want nil", err)
		}
		if got := issuer.lastHeader("If-None-Match"); got != "" {
			t.Errorf("the new place is asked with the old one's ETag %q", got)
		}
		wantKey(t, j, "es256-b", nil)
	})
}

// The client that is made by default, over a real connection.
func TestJWKSDefaultClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(keySet(testKeys().es))) })
	mux.Handle("/away", http.RedirectHandler("/keys", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]bool{"/keys": true, "/away": false} {
		j, err := verifier.NewJWKS(verifier.JWKSConfig{URL: server.URL + path})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Refresh(t.Context()); (err == nil) != want || j.Ready() != want {
			t.Errorf("Refresh from %s = %v, Ready %t; want %t", path, err, j.Ready(), want)
		}
	}
}

func TestNewJWKSRefusesByName(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]verifier.JWKSConfig{
		"set URL or Issuer":     {},
		"use https":             {URL: "http://keys.example.com/k"},
		"not an absolute https": {URL: "/k"},
		"has a query":           {Issuer: testIssuer + "?x"},
		"Cooldown 1ns":          {Issuer: testIssuer, Cooldown: 1},
		"Refresh -1ns":          {Issuer: testIssuer, Refresh: -1},
	} {
		if _, err := verifier.NewJWKS(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewJWKS(%+v) = %v, want %q in it", c, err, want)
		}
	}
}
