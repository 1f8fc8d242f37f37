package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestAPrivateAuthority: issuer and edge with certificates that the system does not know. The edge says why it has no
// keys, keys.ca_file mends that, and a client that trusts the authority gets through without any secret but its own.
func TestAPrivateAuthority(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{Replace: []string{
		"issuer: http://", "tls: {cert_file: cert.pem, key_file: key.pem}\nissuer: https://",
	}})
	cert, key := selfSigned(t)
	ca := lab.Write("cert.pem", cert)
	lab.Write("key.pem", key)
	secret := filepath.Join(lab.Dir, "client_secret")
	client := processtest.NewClient(t)
	client.Ready(lab.StartIssuer().Address("metrics"))

	edge := lab.StartEdge()
	metrics := edge.Address("metrics")
	processtest.Eventually(t, "/readyz says why there are no keys", func() bool {
		a := client.Do("GET", "http://"+metrics+"/readyz", nil, "")
		return a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "keys: ") && strings.Contains(a.Body, "x509")
	})
	edge.Kill()

	lab.Config = lab.Write("trusting.yaml", mustReplace(t, read(t, lab.Config), "keys: {", "keys: {ca_file: cert.pem, "))
	client.Ready(lab.StartEdge().Address("metrics"))
	for _, file := range []string{"key.pem", "encryption_key", "stamp_keys"} { // what no client has
		if err := os.Remove(filepath.Join(lab.Dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"call", "GET", "/orders/17", "-c", lab.Config, "--client", lab.Client, "--secret-file", secret}
	if p := processtest.Start(t, nil, args...); p.Wait() != exitUnavailable || !strings.Contains(p.Stderr.String(), "x509") {
		t.Errorf("call without the authority: %s%s, want exit 69 and x509", p.Stdout, p.Stderr)
	}
	if p := processtest.Start(t, nil, append(args, "--ca-file", ca)...); p.Wait() != exitOK {
		t.Errorf("call with --ca-file: %s%s, want exit 0", p.Stdout, p.Stderr)
	}
	if p := processtest.Start(t, nil, append(args, "--ca-file", secret)...); p.Wait() != exitUsage || !strings.Contains(p.Stderr.String(), "no PEM certificate") {
		t.Errorf("call with a --ca-file that is none: %s%s, want exit 64", p.Stdout, p.Stderr)
	}
}

// selfSigned is a certificate for 127.0.0.1 that is its own authority, and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
