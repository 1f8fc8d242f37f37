package configs_test

import (
	"path/filepath"
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
}

// sample loads a shipped file, with its secret files put where the test may write.
func sample(t *testing.T, file string, role configs.Role) (*configs.Loaded, error) {
	t.Helper()
	dir := secrets(t)
	text := strings.NewReplacer(
		"/run/secrets/", dir+"/", "/etc/coatcheck/", dir+"/",
		"_file: secrets/", "_file: "+dir+"/", "_file: run/", "_file: "+dir+"/",
	).Replace(readText(t, file))
	return loadText(t, dir, text, role, samples[file])
}

func TestEverySampleLoads(t *testing.T) {
	t.Parallel()
	for file := range samples {
		for _, role := range []configs.Role{configs.RoleAll, configs.RoleGateway, configs.RoleIssuer} {
			if file == "minimal.yaml" && role != configs.RoleAll {
				continue // its store is memory
			}
			t.Run(filepath.Base(file)+" as "+string(role), func(t *testing.T) {
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
