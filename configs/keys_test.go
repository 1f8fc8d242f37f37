package configs_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/verifier"
)

// TestKeysComeFromAPrivateAuthority: with keys.ca_file an edge fetches from an issuer that the system does not know,
// and without it does not.
func TestKeysComeFromAPrivateAuthority(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"a",` +
			`"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)) // the public key of RFC 7515 A.3
	}))
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	issuer.StartTLS()
	t.Cleanup(issuer.Close)
	for _, private := range []bool{true, false} {
		dir := secrets(t)
		write(t, filepath.Join(dir, "issuer-ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
		entry := "jwks_url: \"" + issuer.URL + "\""
		if private {
			entry += ", ca_file: \"${env:SECRETS}/issuer-ca.pem\""
		}
		l, err := loadText(t, dir, withSection("keys", entry), configs.RoleAll, nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := verifier.NewJWKS(l.JWKS)
		if err != nil {
			t.Fatal(err)
		}
		err = keys.Refresh(t.Context())
		if private && err != nil || !private && (err == nil || !strings.Contains(err.Error(), "x509")) {
			t.Errorf("with ca_file %v: %v, want x509 without it and none with it", private, err)
		}
	}
}
