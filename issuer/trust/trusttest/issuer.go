// Package trusttest is a foreign identity provider for tests: it signs what it is told to, and publishes its keys on
// loopback, well or badly.
package trusttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The names that Issuer uses, for configurations that trust it.
const (
	Name     = "https://idp.example.com/realms/staff"
	Audience = "coatcheck"
)

// Issuer is the provider. Its keys are RSA, as with most, and its key set does not say for which algorithm, as with some.
type Issuer struct {
	URL     string // of the key set
	Fetches atomic.Int64

	mu     sync.Mutex // guards all below
	keys   []*rsa.PrivateKey
	answer http.HandlerFunc // nil: the key set
}

// New starts a provider with one key; it ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{}
	i.Rotate(t)
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/certs"
	return i
}

// Rotate signs with a new key from here on, and publishes it instead of the old.
func (i *Issuer) Rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// Answer makes the key set something else; nil: the key set again.
func (i *Issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.Fetches.Add(1)
	i.mu.Lock()
	answer := i.answer
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	_, _ = w.Write(i.KeySet())
}

// KeySet is what is published: the newest key.
func (i *Issuer) KeySet() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.keys)
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","kid":"key-%d","n":%q,"e":%q}]}`,
		n, encode(i.keys[n-1].N.Bytes()), encode(big.NewInt(int64(i.keys[n-1].E)).Bytes()))
}

// Claims are those of a token that is in order; pairs set some of them or, with nil, take them away.
func Claims(pairs ...any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": Name, "aud": Audience, "sub": "mary", "iat": now, "exp": now + 300, "jti": rand.Text(),
		"azp": "web", "tenant_id": "acme", "realm_access": map[string]any{"roles": []string{"buyer"}},
	}
	for n := 0; n < len(pairs); n += 2 {
		name, _ := pairs[n].(string)
		if c[name] = pairs[n+1]; pairs[n+1] == nil {
			delete(c, name)
		}
	}
	return c
}

// Token signs claims with the newest key, as a JWT of the type "JWT".
func (i *Issuer) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return i.Signed(t, `"typ":"JWT"`, string(payload))
}

// Signed signs a payload under a header that has these members beside alg and kid.
func (i *Issuer) Signed(t testing.TB, members, payload string) string {
	t.Helper()
	i.mu.Lock()
	key, n := i.keys[len(i.keys)-1], len(i.keys)
	i.mu.Unlock()
	header := fmt.Sprintf(`{"alg":"RS256","kid":"key-%d"`, n)
	if members != "" {
		header += "," + members
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header+"}")) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(signature)
}
