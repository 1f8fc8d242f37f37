package configs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

// TestAClientNeedsNoSecretOfTheDeployment: no secret file is there and no variable is set.
func TestAClientNeedsNoSecretOfTheDeployment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "coatcheck.yaml")
	write(t, path, strings.Replace(whole, "store: memory", "store: {redis: {url: \"${env:REDIS}\", password: \"${env:PASSWORD}\"}}", 1)+
		"tls: {cert_file: none, key_file: none}\n")
	got, err := configs.LoadPublic(path, env(map[string]string{"COATCHECK_LISTEN_GATEWAY": "127.0.0.1:9443"}))
	if err != nil {
		t.Fatal(err)
	}
	want := &configs.Public{Issuer: "https://auth.example.com", Gateway: "127.0.0.1:9443", TLS: true, Clients: []string{"shop"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("LoadPublic (-want +got):\n%s", diff)
	}
}

func TestLoadPublicIsStrict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Replace(whole, "https://auth.example.com", "auth.example.com", 1): "is not an https URL",
		strings.Replace(whole, "gateway:", "gatway:", 1):                          `did you mean "gateway"`,
		"version: 2\n":  "reads version 1 only",
		"version: 1\n":  "issuer is missing",
		"version: [1\n": "is not YAML",
		"issuer: x\n":   "version is missing",
	} {
		path := filepath.Join(t.TempDir(), "coatcheck.yaml")
		write(t, path, text)
		if got, err := configs.LoadPublic(path, env(nil)); err == nil || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("LoadPublic: %v, %v; want %q for\n%s", got, err, want, text)
		}
	}
}
