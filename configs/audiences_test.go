package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

// weakRSA is a public key that nothing should be encrypted to.
func weakRSA(t testing.TB) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// keySet is a JWKS of one P-256 key.
func keySet(t testing.TB, kid, use string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":%q,"use":%q}]}`, b64(point[1:33]), b64(point[33:]), kid, use)
}

// audience loads a file whose one audience has these keys too.
func audience(t testing.TB, keys string) *configs.Loaded {
	t.Helper()
	text := strings.Replace(whole, `audiences:
  orders-api: {`, `audiences:
  orders-api: {`+keys, 1)
	if text == whole && keys != "" {
		t.Fatal("the file has no audience orders-api to change")
	}
	text = strings.Replace(text, "    grant_types:", "    claims: {tenant: acme}\n    grant_types:", 1)
	l, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
	if err != nil {
		t.Fatalf("with %s: %v", keys, err)
	}
	return l
}

// What is not said, nothing and a list are three things.
func TestClaimsOfAnAudience(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string][]string{"": nil, "claims: [], ": {}, "claims: [tenant, plan], ": {"tenant", "plan"}} {
		if diff := cmp.Diff(want, audience(t, keys).Issuer.Audiences["orders-api"].Claims); diff != "" {
			t.Errorf("claims of an audience with %q (-want +got):\n%s", keys, diff)
		}
	}
	l := audience(t, "claims: [tenant, plan], ")
	if got := fmt.Sprint(l.Warnings); !strings.Contains(got, `no client has a claim "plan" and`) || strings.Contains(got, `claim "tenant"`) {
		t.Errorf("warnings %v, want one about plan, which nobody sets, and none about tenant", l.Warnings)
	}
}

func TestEncryptOfAnAudience(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		`encrypt: {key_file: "${env:SECRETS}/tls.crt"}, `:                                "",
		`encrypt: {key_file: "${env:SECRETS}/tls.crt", kid: one, encryption: A256GCM}, `: "one",
		`encrypt: {jwks_file: "${env:SECRETS}/service.jwks"}, `:                          "orders-1",
		`encrypt: {jwks_file: "${env:SECRETS}/service.jwks", kid: orders-1}, `:           "orders-1",
	} {
		e := audience(t, keys).Issuer.Audiences["orders-api"].Envelope
		if e == nil {
			t.Errorf("with %s nothing is encrypted", keys)
			continue
		}
		text, err := e.Wrap(t.Context(), "signed")
		header, _ := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
		if err != nil || !strings.Contains(string(header), `"kid":"`+want) || !strings.Contains(string(header), `"alg":"ECDH-ES"`) {
			t.Errorf("with %s: header %s, %v; want the kid %q", keys, header, err, want)
		}
	}
	if e := audience(t, "").Issuer.Audiences["orders-api"].Envelope; e != nil {
		t.Error("without encrypt there is an envelope")
	}
	// A set that is fetched is not asked for at the start, and without it there is no token.
	e := audience(t, `encrypt: {jwks_url: "http://127.0.0.1:1/jwks", algorithm: RSA-OAEP-256}, `).Issuer.Audiences["orders-api"].Envelope
	if text, err := e.Wrap(t.Context(), "signed"); text != "" || err == nil {
		t.Errorf("Wrap without a key = %q, %v; want an error and nothing else", text, err)
	}
}
