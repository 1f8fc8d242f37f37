package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// build makes the rooms' values. It opens the files that the role uses and no others, and notes what is wrong with them.
func (b *builder) build() *Loaded {
	l := &Loaded{
		Role:      b.role,
		Listen:    Listen{Metrics: b.file.Listen.Metrics},
		TLS:       b.listenerTLS(),
		Trusted:   b.trustedProxies(),
		Store:     b.store(),
		Stamper:   b.stamper(),
		Follower:  b.follower(),
		Telemetry: b.telemetry(),
	}
	table := b.table() // an issuer checks the routes too: one file serves both halves
	if b.role.gateway() {
		l.Listen.Gateway = b.file.Listen.Gateway
		l.Gateway, l.Exchange = b.gateway(table), b.exchange(l.Stamper)
		l.Keys, l.JWKS = b.keys(), b.jwks()
	}
	if b.role.issuer() {
		l.Listen.Issuer, l.Listen.Internal = b.file.Listen.Issuer, b.file.Listen.Internal
		l.Issuer = b.issuer()
		l.Listen.Admin, l.AdminTokens = b.admin(), b.adminTokens()
		l.Revoker, l.Journal = b.revoker(), b.journal()
		l.Audit, l.AuditKeys = b.audit(l.Issuer.Sealing)
	}
	l.KeyFiles = b.keyFiles
	return l
}

// trustedProxies leaves out what is wrong, which check has said.
func (b *builder) trustedProxies() (peers []netip.Prefix) {
	for _, text := range b.file.Listen.TrustedProxies {
		if prefix, err := parsePrefix(text); err == nil {
			peers = append(peers, prefix)
		}
	}
	return peers
}

func (b *builder) stamper() *exchange.Stamper {
	t := b.file.Tokens
	keys, at := b.keysAt(t.StampKeys, t.StampKeysFile, "stamp_keys", "tokens")
	prefix := t.Prefix
	if prefix == "" {
		prefix = "cck"
	}
	b.stamp = keys
	if keys == nil || !tokenPrefix.MatchString(prefix) {
		return nil
	}
	s, err := exchange.NewStamper(prefix, b.maxTTL(), keys...)
	if err != nil {
		b.doc.fault(at.node, "%s: %v", at.label, err)
		return nil
	}
	b.watch(t.StampKeysFile, "tokens.stamp_keys_file", s.Replace)
	return s
}

func (b *builder) listenerTLS() *tls.Config {
	cert, haveCert := b.placed("tls", "cert_file")
	key, haveKey := b.placed("tls", "key_file")
	if !haveCert || !haveKey {
		return nil
	}
	certPEM, certOK := b.read(cert, b.file.TLS.CertFile, anyReader)
	keyPEM, keyOK := b.read(key, b.file.TLS.KeyFile, ownerAndGroup)
	if !certOK || !keyOK {
		return nil
	}
	pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
	if err != nil {
		b.doc.fault(cert.node, "%s: with tls.key_file it makes no certificate: %v", cert.label, err)
		return nil
	}
	// A closure, so that printing the configuration cannot reach the key.
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil },
	}
}

// clientTLS trusts the authorities in the file at path, or those of the system.
func (b *builder) clientTLS(file string, path ...any) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	at, ok := b.placed(path...)
	if !ok {
		return config
	}
	if pem, ok := b.read(at, file, anyReader); ok {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(pem)) {
			b.doc.fault(at.node, "%s: %s holds no PEM certificate", at.label, at.shown)
		}
	}
	return config
}

// read is readSecret with its fault.
func (b *builder) read(at placed, file string, who readers) (string, bool) {
	text, err := readSecret(b.doc.beside(file), who)
	if err == nil && text == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		b.unreadable(at, file, "", err)
	}
	return text, err == nil
}

func (b *builder) telemetry() Telemetry {
	t := b.file.Telemetry
	out := Telemetry{
		LogJSON:      t.Logs.Format != "text",
		LogLevel:     t.Logs.Level,
		Prometheus:   t.Metrics.Prometheus == nil || *t.Metrics.Prometheus,
		OTLPEndpoint: t.Traces.OTLPEndpoint,
	}
	if out.LogLevel == "" {
		out.LogLevel = "info"
	}
	switch {
	case t.Traces.Sample != nil:
		out.Sample = float64(*t.Traces.Sample)
	case out.OTLPEndpoint != "":
		out.Sample = 0.01
	}
	return out
}

// or is the value of an optional duration.
func or(d *Duration, fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	return time.Duration(*d)
}
