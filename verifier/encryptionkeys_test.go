package verifier_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

func (k testKey) encJWK() string {
	return fmt.Sprintf(`{%s,"kid":%q,"alg":%q,"use":"enc"}`, k.material(), k.kid, k.alg)
}

func TestEncryptionKeysAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	k := encKeys()
	noAlg := fmt.Sprintf(`{%s,"kid":"bare","use":"enc"}`, k.ec.material())
	for _, c := range []struct {
		name, document, algorithm string
		want                      string // kids, or a piece of the error
	}{
		{"newest first", keySet(k.next.encJWK(), k.ec.encJWK()), verifier.ECDHES, "enc-b enc-a"},
		{"beside keys that sign", keySet(testKeys().es, k.ec.encJWK()), verifier.ECDHES, "enc-a"},
		{"of another algorithm", keySet(k.rsa.encJWK(), k.wrap.encJWK()), verifier.ECDHESA256KW, "enc-c"},
		{"RSA", keySet(k.ec.encJWK(), k.rsa.encJWK()), verifier.RSAOAEP256, "enc-d"},
		{"without alg", keySet(noAlg), verifier.ECDHES, "bare"},
		{"that sign only", keySet(testKeys().es), verifier.ECDHES, "use is not enc"},
		{"without use", keySet(fmt.Sprintf(`{%s,"kid":"a"}`, k.ec.material())), verifier.ECDHES, "use is not enc"},
		{"without kid", keySet(fmt.Sprintf(`{%s,"use":"enc"}`, k.ec.material())), verifier.ECDHES, "kid is not"},
		{"RSA of 1024 bits", keySet(fmt.Sprintf(`{%s,"kid":"a","use":"enc"}`, testKeys().weak.material())), verifier.RSAOAEP256, "between 2048"},
		{"Ed25519", keySet(fmt.Sprintf(`{%s,"kid":"a","use":"enc"}`, testKeys().ed.material())), verifier.ECDHES, "does not fit"},
		{"off the curve", keySet(fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"a","use":"enc"}`, b64(seed("x", 32)), b64(seed("y", 32)))), verifier.ECDHES, "key material"},
		{"with a private member", keySet(fmt.Sprintf(`{%s,"d":"AA","kid":"a","use":"enc"}`, k.ec.material())), verifier.ECDHES, "private member"},
		{"one kid for two", keySet(k.ec.encJWK(), k.ec.encJWK()), verifier.ECDHES, "kid of another key"},
		{"none", keySet(), verifier.ECDHES, "no usable encryption key"},
		{"no JSON", "[", verifier.ECDHES, "not valid JSON"},
	} {
		keys, err := verifier.ParseEncryptionKeys([]byte(c.document), c.algorithm)
		var kids []string
		for _, one := range keys {
			kids = append(kids, one.ID)
		}
		if got := strings.Join(kids, " "); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("keys %s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func wantEncryptionKey(t *testing.T, keys verifier.KeySource, kid, want string, fails error) {
	t.Helper()
	k, err := keys.Key(t.Context(), kid)
	if k.ID != want || !errors.Is(err, fails) {
		t.Errorf("Key(%q) = %q, %v; want %q, %v", kid, k.ID, err, want, fails)
	}
}

// The first key of the set is the one to encrypt to; a rotation is seen within a minute, and a service that is away
// changes nothing about what is known of it.
func TestEncryptionJWKSFollowsTheService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := encKeys()
		service := newIssuer()
		service.set(keysPath, refuse)
		keys, err := verifier.NewEncryptionJWKS(verifier.JWKSConfig{URL: testIssuer + keysPath, Client: &http.Client{Transport: service}}, verifier.ECDHES)
		if err != nil {
			t.Fatal(err)
		}
		// Never known: nobody waits for a service that is away, and nobody asks it for each token.
		for range 100 {
			wantEncryptionKey(t, keys, "", "", verifier.ErrKeysUnavailable)
		}
		if got := service.fetched(keysPath); got != 1 {
			t.Errorf("100 tokens asked a service that is away %d times, want once in a cool-down", got)
		}
		service.publish(k.ec.encJWK())
		time.Sleep(11 * time.Second)
		wantEncryptionKey(t, keys, "", "enc-a", nil)

		service.publish(k.next.encJWK(), k.ec.encJWK())
		time.Sleep(3 * time.Minute) // idle for so long that the first use waits for the fetch
		wantEncryptionKey(t, keys, "", "enc-b", nil)
		wantEncryptionKey(t, keys, "enc-a", "enc-a", nil)

		service.set(keysPath, respond(200, keySet(testKeys().es))) // keys that sign, by mistake
		time.Sleep(3 * time.Minute)
		wantEncryptionKey(t, keys, "", "enc-b", nil)
		service.set(keysPath, hang)
		time.Sleep(3 * time.Minute)
		wantEncryptionKey(t, keys, "", "enc-b", nil)
	})
}

func TestEncryptionKeysOfAFile(t *testing.T) {
	t.Parallel()
	keys := verifier.EncryptionKeys{{ID: "new"}, {ID: "old"}}
	wantEncryptionKey(t, keys, "", "new", nil)
	wantEncryptionKey(t, keys, "old", "old", nil)
	wantEncryptionKey(t, keys, "other", "", verifier.ErrUnknownKey)
	wantEncryptionKey(t, verifier.EncryptionKeys(nil), "", "", verifier.ErrUnknownKey)
	if _, err := verifier.NewEncryptionJWKS(verifier.JWKSConfig{Issuer: testIssuer}, verifier.ECDHES); err == nil {
		t.Error("NewEncryptionJWKS without a URL = nil, want an error: encryption keys are not the issuer's")
	}
}
