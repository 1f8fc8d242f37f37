package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"

	"github.com/coatcheck/coatcheck/configs"
)

// devYAML is an ordinary configuration: development runs through the same door as everything else.
//
//go:embed dev.yaml
var devYAML []byte

// devClient is the one client.
const devClient = "demo-shop" // as in dev.yaml

// loadDev writes the configuration and fresh random secrets into a directory of the user alone, loads them from
// there, and removes it: nothing of them stays on disk.
func loadDev(l *devListeners, secret string) (loaded *configs.Loaded, err error) {
	dir, err := os.MkdirTemp("", "coatcheck-dev-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, content := range map[string][]byte{
		"coatcheck.yaml": devYAML,
		"encryption_key": randomKey(),
		"stamp_keys":     randomKey(),
		"demo_shop":      []byte(secret + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	env := map[string]string{
		"COATCHECK_DEV_ISSUER":       base(l.issuer),
		"COATCHECK_DEV_EDGE_ADDR":    l.edge.Addr().String(),
		"COATCHECK_DEV_ISSUER_ADDR":  l.issuer.Addr().String(),
		"COATCHECK_DEV_METRICS_ADDR": l.metrics.Addr().String(),
		"COATCHECK_DEV_ORDERS":       base(l.orders),
		"COATCHECK_DEV_BILLING":      base(l.billing),
	}
	// Only these names are seen: whatever the user has exported changes nothing here.
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return configs.Load(filepath.Join(dir, "coatcheck.yaml"), configs.RoleAll, lookup)
}

// randomKey is one line of a key file: 32 random bytes in standard base64.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return append(base64.StdEncoding.AppendEncode(nil, key), '\n')
}
