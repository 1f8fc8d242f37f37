package interop

import (
	"net/http"
	"slices"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func TestClientCredentialsOfXOAuth2(t *testing.T) {
	t.Parallel()
	h := open(t)
	for name, style := range map[string]oauth2.AuthStyle{
		"found out": oauth2.AuthStyleAutoDetect, "basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams,
	} {
		c := clientcredentials.Config{
			ClientID: h.Client, ClientSecret: h.Secret, TokenURL: h.Issuer() + "/oauth2/token", Scopes: []string{"orders:read"}, AuthStyle: style,
		}
		if status, body := call(t, c.Client(t.Context()), h.Edge()+"/orders/1"); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

// TestDiscoveryOfGoOIDC: it looks at one place alone, and verifies what a service receives.
func TestDiscoveryOfGoOIDC(t *testing.T) {
	t.Parallel()
	h := open(t)
	provider, err := oidc.NewProvider(t.Context(), h.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	verify := func(audience string) (*oidc.IDToken, error) {
		c := &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}}
		return provider.VerifierContext(t.Context(), c).Verify(t.Context(), h.jwt(t))
	}
	token, err := verify("orders-api")
	if err != nil {
		t.Fatal(err)
	}
	if token.Subject != "client:"+h.Client || !slices.Equal(token.Audience, []string{"orders-api"}) {
		t.Errorf("token of %q for %q", token.Subject, token.Audience)
	}
	if _, err := verify("billing-api"); err == nil {
		t.Error("a token for one service verifies at its neighbour")
	}
}

func TestDiscoveryOfZitadel(t *testing.T) {
	t.Parallel()
	h := open(t)
	found, err := client.Discover(t.Context(), h.Issuer(), http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if found.Issuer != h.Issuer() || found.TokenEndpoint == "" || found.JwksURI == "" || found.RevocationEndpoint == "" {
		t.Errorf("discovered %+v", found)
	}
}
