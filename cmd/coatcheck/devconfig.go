package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/coatcheck/coatcheck/configs"
)

// devYAML is an ordinary configuration: development runs through the same door as everything else. Its addresses are
// put where the listeners are.
//
//go:embed dev.yaml
var devYAML []byte

// devClient is the one client.
const devClient = "demo-shop" // as in dev.yaml

// loadDev writes the configuration and fresh random secrets into a directory of the user alone, loads them from
// there, and removes it: nothing of them stays on disk.
func loadDev(l *devListeners, secret, adminToken string) (loaded *configs.Loaded, err error) {
	dir, err := os.MkdirTemp("", "coatcheck-dev-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"coatcheck.yaml":         []byte(l.replacer().Replace(string(devYAML))),
		"secrets/encryption_key": randomKey(),
		"secrets/stamp_keys":     randomKey(),
		"secrets/demo_shop":      []byte(secret + "\n"),
		"secrets/admin_token":    []byte(adminToken + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	// Whatever the user has exported changes nothing here.
	lookup := func(string) (string, bool) { return "", false }
	return configs.Load(filepath.Join(dir, "coatcheck.yaml"), configs.RoleAll, lookup)
}

// replacer turns the addresses of dev.yaml into those of the listeners.
func (d *devListeners) replacer() *strings.Replacer {
	return strings.NewReplacer(
		"127.0.0.1:8080", d.edge.Addr().String(),
		"127.0.0.1:8081", d.issuer.Addr().String(),
		"127.0.0.1:8082", d.metrics.Addr().String(),
		"127.0.0.1:8083", d.admin.Addr().String(),
		"127.0.0.1:9000", d.orders.Addr().String(),
		"127.0.0.1:9001", d.billing.Addr().String(),
	)
}

// randomKey is one line of a key file: 32 random bytes in standard base64.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return append(base64.StdEncoding.AppendEncode(nil, key), '\n')
}
