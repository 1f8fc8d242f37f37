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
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestMetricsListenerAlone serves health, readiness and metrics, under the names that dashboards know.
func TestMetricsListenerAlone(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{})
	issuer, edge := lab.Up(client)
	reference := lab.Token(client)
	for range 3 {
		client.Call("GET", lab.Edge()+"/orders/17", reference)
	}
	for _, m := range []struct {
		of     *processtest.Process
		name   string
		labels []string
		least  float64
	}{
		{edge, "coatcheck_requests_total", []string{`route="orders-read"`, `decision="allow"`, `reason="swapped"`, `cache="hit"`}, 1},
		{edge, "coatcheck_requests_total", []string{`route="orders-read"`, `cache="miss"`}, 1},
		{edge, "coatcheck_swap_seconds_count", nil, 3},
		{edge, "coatcheck_store_commands_total", []string{`command="take"`, `outcome="ok"`}, 1},
		{edge, "coatcheck_store_seconds_count", []string{`command="take"`}, 1},
		{issuer, "coatcheck_tokens_issued_total", []string{`client="` + lab.Client + `"`, `outcome="issued"`}, 1},
		{issuer, "coatcheck_store_commands_total", []string{`command="put"`, `outcome="ok"`}, 1},
		{edge, "go_goroutine_count", nil, 1},
	} {
		if got := sumOf(t, client, m.of.Address("metrics"), m.name, m.labels...); got < m.least {
			t.Errorf("%s%v = %v, want at least %v", m.name, m.labels, got, m.least)
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/debug/pprof/"} {
		for _, base := range []string{lab.Edge(), lab.Issuer()} {
			if a := client.Do("GET", base+path, nil, ""); a.Status != http.StatusNotFound {
				t.Errorf("GET %s%s = %d, want 404: it belongs to the metrics listener alone", base, path, a.Status)
			}
		}
	}
	if a := client.Do("GET", "http://"+edge.Address("metrics")+"/debug/pprof/", nil, ""); a.Status != http.StatusNotFound {
		t.Errorf("/debug/pprof/ = %d without the flag, want 404", a.Status)
	}
}

// TestOneProcessWithTLS: both halves in one process, over TLS, with a collector that is away and bothers nobody.
func TestOneProcessWithTLS(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Replace: []string{
		"issuer: http://", "issuer: https://",
		"keys:", "tls: {cert_file: tls.crt, key_file: tls.key}\nkeys:",
		"telemetry:\n", "telemetry:\n  traces: {otlp_endpoint: http://" + processtest.FreeAddress(t) + ", sample: 100%}\n",
	}})
	crt := certificate(t, lab)
	p := processtest.Start(t, nil, "run", "-c", lab.Config)
	client.Ready(p.Address("metrics"))

	// A client of its own trusts the certificate, through the variable that Go's and everybody's TLS reads.
	call := exec.CommandContext(t.Context(), processtest.Binary(t), "call", "GET", "/orders/17", "-c", lab.Config, "--client", lab.Client)
	call.Env = append(os.Environ(), "SSL_CERT_FILE="+crt, secretVariable+"="+lab.Secret)
	if out, err := call.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "200 OK") {
		t.Errorf("call over TLS: %v\n%s", err, out)
	}
	if got := lab.Orders.Last(t).Claims(t)["iss"]; got != "https://"+lab.IssuerAddr {
		t.Errorf("the service's JWT has iss %v, want %s", got, "https://"+lab.IssuerAddr)
	}
	if a, err := client.Try("GET", lab.Edge()+"/orders/17", nil, ""); err == nil && a.Status < 400 {
		t.Errorf("plain HTTP on a TLS listener = %d, want a refusal", a.Status)
	}
	if code := p.Terminate(); code != exitOK {
		t.Errorf("the process ended with %d, want 0: a collector that is away is not its failure\n%s", code, p.Stderr)
	}
}

// TestInternalListener: introspection is on its own listener and nowhere else, and the issuer's other endpoints are not there.
func TestInternalListener(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	secret := strings.Repeat("orders-secret-", 3)
	lab := processtest.New(t, processtest.Options{Replace: []string{
		"  admin: 127.0.0.1:0", "  admin: 127.0.0.1:0\n  internal: 127.0.0.1:0",
		"telemetry:\n", "  orders-service: {secret_file: orders_secret, serves: [orders-api]}\ntelemetry:\n",
	}})
	lab.Write("orders_secret", secret+"\n")
	issuer, _ := lab.Up(client)
	ask := func(base string) processtest.Answer {
		request := http.Request{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
		request.SetBasicAuth("orders-service", secret)
		return client.Do("POST", base+"/oauth2/introspect", request.Header, "token="+lab.Token(client))
	}
	inside := "http://" + issuer.Address("internal")
	if a := ask(inside); a.Status != http.StatusOK || !strings.Contains(a.Body, `"active":true`) {
		t.Errorf("introspection inside: %d %s, want active", a.Status, a.Body)
	}
	for _, base := range []string{lab.Issuer(), lab.Edge()} {
		if a := ask(base); a.Status != http.StatusNotFound {
			t.Errorf("introspection at %s: %d, want 404", base, a.Status)
		}
	}
	for _, path := range []string{"/oauth2/token", "/.well-known/jwks.json", "/metrics"} {
		if a := client.Do("GET", inside+path, nil, ""); a.Status != http.StatusNotFound {
			t.Errorf("GET %s inside: %d, want 404", path, a.Status)
		}
	}
}

// certificate writes a self-signed certificate for 127.0.0.1 beside the lab's configuration.
func certificate(t *testing.T, lab *processtest.Lab) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	crt, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	lab.Write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return lab.Write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: crt})))
}
