package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/configs"
)

// key is a key file's line made of one letter.
func key(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// secrets makes a directory with every secret file that samples and broken files name.
func secrets(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	cert, private := certificate(t)
	for name, text := range map[string]string{
		"kek":             key("k") + "\n",
		"coatcheck_kek":   key("k") + "\n" + key("l") + "\n",
		"stamp":           key("s") + "\n",
		"coatcheck_stamp": key("s") + "\n",
		"shop":            "client-secret-client-secret\n",
		"partner_shop":    "client-secret-client-secret\n",
		"orders_service":  "client-secret-client-secret-2\n",
		"coatcheck_admin": "admin-canary-admin-canary-admin-canary\n",
		"admin":           "admin-canary-admin-canary-admin-canary\n",
		"lab-secret":      "client-secret-client-secret\n",
		"redis_password":  "redis-password\n",
		"tls.crt":         cert,
		"tls.key":         private,
		"internal-ca.pem": cert,
		"weak-rsa.pem":    weakRSA(t),
		"service.jwks":    keySet(t, "orders-1", "enc"),
		"signing.jwks":    keySet(t, "orders-1", "sig"),
		"open":            key("s") + "\n",
		"open-to-all":     "",
		"empty":           "\n",
		"large":           strings.Repeat("x", 2<<20),
		"short":           key("k") + "\nc2hvcnQ=\n",
		"twice":           key("k") + "\n" + key("k") + "\n",
		"weak":            "hunter2\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "for-all"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"open": 0o644, "open-to-all": 0o666, "for-all": 0o777, ".": 0o700} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("not-here/journal", filepath.Join(dir, "nowhere")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificate(t testing.TB) (cert, private string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// env is a lookup over a map.
func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := vars[name]
		return text, ok
	}
}

// loadText loads a file with this text, beside the secrets in dir.
func loadText(t testing.TB, dir, text string, role configs.Role, vars map[string]string) (*configs.Loaded, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coatcheck.yaml")
	write(t, path, text)
	all := map[string]string{"SECRETS": dir}
	for name, value := range vars {
		all[name] = value
	}
	return configs.Load(path, role, env(all))
}

// faultsOf is the error's faults, without the file's name.
func faultsOf(t testing.TB, err error) []string {
	t.Helper()
	var faults configs.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Load: %v: want configs.Faults, got %T", err, err)
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
		if strings.HasSuffix(f.File, "/coatcheck.yaml") {
			lines[i] = strings.TrimPrefix(lines[i], f.File+":")
		}
	}
	return lines
}

func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// whole is a file that loads with the secrets in ${env:SECRETS}.
const whole = `version: 1
issuer: https://auth.example.com
listen: {gateway: "127.0.0.1:8080", issuer: "127.0.0.1:8081"}
store: memory
keys: {encryption_key_file: "${env:SECRETS}/kek"}
tokens: {stamp_keys_file: "${env:SECRETS}/stamp"}
audiences:
  orders-api: {scopes: {"orders:read": Read orders}}
upstreams:
  orders: {url: "http://127.0.0.1:9000"}
routes:
  - {name: orders, match: "GET /orders/{rest...}", upstream: orders, audience: orders-api, scopes: ["orders:read"]}
clients:
  shop:
    secret_file: ${env:SECRETS}/shop
    grant_types: [client_credentials]
    audiences: {orders-api: ["orders:read"]}
`

// withSection is whole with one more entry in a section of one line, or with the section.
func withSection(section, entry string) string {
	if strings.Contains(whole, "\n"+section+": {") {
		return strings.Replace(whole, "\n"+section+": {", "\n"+section+": {"+entry+", ", 1)
	}
	return whole + section + ": {" + entry + "}\n"
}
