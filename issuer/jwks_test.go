package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

func TestK1_OnlyPublicMembersArePublished(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	body := k.get(t, k.place.jwksPath(), nil).Body.Bytes()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("%d keys, want the active one and the next", len(set.Keys))
	}
	var ids []string
	for _, key := range set.Keys {
		for name := range key {
			if !slices.Contains([]string{"kty", "use", "alg", "kid", "crv", "x", "y"}, name) {
				t.Errorf("member %q is published", name)
			}
		}
		if key["kty"] != "EC" || key["alg"] != "ES256" || key["use"] != "sig" || key["crv"] != "P-256" {
			t.Errorf("key %v: want kty EC, alg ES256, use sig, crv P-256", key)
		}
		if len(key["x"]) != 43 || len(key["y"]) != 43 || len(key["kid"]) != 43 {
			t.Errorf("key %v: coordinates and kid are not 32 bytes of base64url", key)
		}
		ids = append(ids, key["kid"])
	}
	if ids[0] == ids[1] {
		t.Errorf("kid %s is there twice", ids[0])
	}
	parsed, err := verifier.ParseJWKS(body)
	if err != nil {
		t.Fatalf("our own verifier refuses the set: %v", err)
	}
	for _, key := range k.keeper.Held().Keys() {
		if got, err := parsed.Key(t.Context(), key.ID()); err != nil || !slices.Contains(ids, key.ID()) {
			t.Errorf("key %s: published %v, %v", key.ID(), got.Public, err)
		}
	}
}

func TestK4_TheSetMayBeCachedAndAskedForAnew(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, path := range []string{k.place.jwksPath(), k.place.metadataPath(), k.place.openidPath()} {
		w := k.get(t, path, nil)
		tag := w.Header().Get("ETag")
		if w.Code != http.StatusOK || len(tag) < 10 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("GET %s: %d, ETag %q", path, w.Code, tag)
		}
		for match, want := range map[string]int{tag: 304, `"other", ` + tag: 304, "W/" + tag: 304, "*": 304, `"other"`: 200} {
			w := k.get(t, path, http.Header{"If-None-Match": {match}})
			if w.Code != want || w.Header().Get("ETag") != tag || (want == 304 && w.Body.Len() > 0) {
				t.Errorf("GET %s, If-None-Match %s: %d with %d bytes, want %d", path, match, w.Code, w.Body.Len(), want)
			}
		}
		head := httptest.NewRecorder()
		k.Handler().ServeHTTP(head, httptest.NewRequestWithContext(t.Context(), http.MethodHead, path, nil))
		if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("ETag") != tag {
			t.Errorf("HEAD %s: %d with %d bytes", path, head.Code, head.Body.Len())
		}
		post := httptest.NewRecorder()
		k.Handler().ServeHTTP(post, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		if post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, post.Code, post.Header().Get("Allow"))
		}
	}
	w := k.get(t, k.place.jwksPath(), nil)
	if got := w.Header().Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("Content-Type %q", got)
	}
	age, ok := strings.CutPrefix(w.Header().Get("Cache-Control"), "public, max-age=")
	seconds, err := strconv.Atoi(age)
	if got := time.Duration(seconds) * time.Second; !ok || err != nil || got <= 0 || got > time.Minute {
		t.Errorf("max-age %q: want at most a minute, well under the time for which a key is published before it signs", age)
	}
}
