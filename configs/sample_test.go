package configs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
)

// samples are the files that we ship as examples, with the variables that they read.
var samples = map[string]map[string]string{
	"coatcheck.example.yaml": nil,
	"minimal.yaml":           nil,
	"development.yaml":       nil,
	"environment.yaml": {
		"ISSUER": "https://auth.example.com", "INGRESS_NETWORK": "10.0.0.0/8", "REDIS_URL": "rediss://redis.example.com",
		"REDIS_PASSWORD": "redis-password", "ORDERS_URL": "http://orders:9000", "SHOP_SECRET": "client-secret-client-secret",
		"KEK": key("k"), "STAMP_KEYS": key("s") + "\n" + key("t"),
	},
	"../deployments/local/coatcheck.yaml": {"METRICS": "127.0.0.1:8092"},
	"../benchmarks/conf/coatcheck.yaml":   nil,
}

var secretPath = regexp.MustCompile(`(_file: |{journal: |, journal: )(/run/secrets/|/etc/coatcheck/|/var/lib/coatcheck/|secrets/|run/)?`)

// sampleText is a shipped file with its secret files and its journal in dir, and with what the load lab fills in.
func sampleText(t testing.TB, file, dir string) string {
	t.Helper()
	text := strings.NewReplacer("@PORT@", "8110", "@METRICS@", "8111", "@LEASE@", "500ms").Replace(readText(t, file))
	return secretPath.ReplaceAllString(text, "${1}"+dir+"/")
}

func sample(t *testing.T, file string, role configs.Role) (*configs.Loaded, error) {
	t.Helper()
	dir := secrets(t)
	return loadText(t, dir, sampleText(t, file, dir), role, samples[file])
}

func TestEverySampleLoads(t *testing.T) {
	t.Parallel()
	for file := range samples {
		for _, role := range []configs.Role{configs.RoleAll, configs.RoleGateway, configs.RoleIssuer} {
			if file == "minimal.yaml" && role != configs.RoleAll {
				continue // its store is memory
			}
			t.Run(file+" as "+string(role), func(t *testing.T) {
				t.Parallel()
				l, err := sample(t, file, role)
				if err != nil {
					t.Fatalf("Load(%s, %s):\n%v", file, role, err)
				}
				if (l.Gateway != nil) != (role != configs.RoleIssuer) || (l.Issuer != nil) != (role != configs.RoleGateway) {
					t.Errorf("Load(%s, %s): gateway %v, issuer %v", file, role, l.Gateway != nil, l.Issuer != nil)
				}
			})
		}
	}
}
