package configs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

// TestTheSampleLoadsWithoutAWord: every key of it is enforced.
func TestTheSampleLoadsWithoutAWord(t *testing.T) {
	t.Parallel()
	l, err := sample(t, "coatcheck.example.yaml", configs.RoleAll)
	if err != nil || len(l.Warnings) > 0 {
		t.Fatalf("Load(coatcheck.example.yaml): %v, warnings %v; want neither", err, l.Warnings)
	}
}

func TestWhatCanNeverBeUsedIsAWarning(t *testing.T) {
	t.Parallel()
	text := strings.Replace(whole, "upstreams:\n", "  billing-api: {scopes: {\"invoices:read\": Read invoices}}\nupstreams:\n  billing: {url: \"http://127.0.0.1:9001\"}\n", 1)
	l, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range l.Warnings {
		got = append(got, w.What)
	}
	want := []string{
		`no route leads to audience "billing-api"; its tokens are of no use at the edge`,
		`no client may have audience "billing-api"; its routes let nobody through`,
		`no route leads to upstream "billing"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestDefaultsAndSwitches: what is absent is left to the rooms' defaults, and what is off is off.
func TestDefaultsAndSwitches(t *testing.T) {
	t.Parallel()
	least, err := sample(t, "minimal.yaml", configs.RoleAll)
	if err != nil {
		t.Fatal(err)
	}
	if least.Gateway.BadReferencesPerAddress != 0 || least.Gateway.PerClient != 0 || least.Revoker.Lease != 0 {
		t.Errorf("absent limits: %v, %v, lease %v; want 0 for the rooms' defaults", least.Gateway.BadReferencesPerAddress, least.Gateway.PerClient, least.Revoker.Lease)
	}
	if least.Issuer.TTL != 10*time.Minute || least.Issuer.RotateEvery != 30*24*time.Hour || !least.Telemetry.LogJSON || !least.Telemetry.Prometheus || least.Telemetry.Sample != 0 {
		t.Errorf("defaults: ttl %v, rotate_every %v, telemetry %+v", least.Issuer.TTL, least.Issuer.RotateEvery, least.Telemetry)
	}
	dev, err := sample(t, "development.yaml", configs.RoleAll)
	if err != nil {
		t.Fatal(err)
	}
	if dev.Gateway.BadReferencesPerAddress >= 0 || dev.Gateway.PerClient != 5 || dev.Gateway.MaxBody != 64<<10 {
		t.Errorf("bad_references off: %v; per_client 5/s: %v; body 64KiB: %v", dev.Gateway.BadReferencesPerAddress, dev.Gateway.PerClient, dev.Gateway.MaxBody)
	}
	if c := dev.Issuer.Clients["batch"]; c.TTL != time.Hour || c.MaxGrants != 5 || dev.Telemetry.Sample != 1 || dev.Telemetry.LogJSON {
		t.Errorf("client batch: ttl %v, max_grants %v; telemetry %+v", c.TTL, c.MaxGrants, dev.Telemetry)
	}
}

// TestWarningsAreToldBesideFaults: who mends the faults sees at once what else is not meant.
func TestWarningsAreToldBesideFaults(t *testing.T) {
	t.Parallel()
	text := strings.Replace(whole, "127.0.0.1:8080", "nowhere", 1) + "revocation: {journal: /tmp/journal}\n"
	l, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
	if err == nil || l == nil || len(l.Warnings) != 1 || l.Gateway != nil || l.Stamper != nil {
		t.Fatalf("Load: %v with %+v, want a fault, one warning and nothing else", err, l)
	}
	if l, err = loadText(t, secrets(t), "version: 2\n", configs.RoleAll, nil); err == nil || l == nil {
		t.Errorf("Load of another version: %v with %v, want a fault and no warning", err, l)
	}
}

// TestWhatWouldBreakClientsIsAWarning: it loads, and somebody outside would find out the hard way.
func TestWhatWouldBreakClientsIsAWarning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, issuer, tls, secret, warning string }{
		{"a plus", "https://auth.example.com", "", "abcdefgh+abcdefgh", "15:18: clients.shop.secret_file: the secret has"},
		{"a percent sign", "https://auth.example.com", "", "abcdefgh%20bcdefgh", "15:18: clients.shop.secret_file: the secret has"},
		{"an umlaut", "https://auth.example.com", "", "abcdefghäbcdefgh", "15:18: clients.shop.secret_file: the secret has"},
		{"what openssl rand makes", "https://auth.example.com", "", "0123456789abcdef0123456789abcdef", ""},
		{"http behind our own TLS", "http://127.0.0.1:8081", "tls: {cert_file: \"${env:SECRETS}/tls.crt\", key_file: \"${env:SECRETS}/tls.key\"}\n", "0123456789abcdef", "2:9: issuer: begins with http"},
		{"https behind our own TLS", "https://127.0.0.1:8081", "tls: {cert_file: \"${env:SECRETS}/tls.crt\", key_file: \"${env:SECRETS}/tls.key\"}\n", "0123456789abcdef", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := secrets(t)
			write(t, dir+"/shop", c.secret+"\n")
			l, err := loadText(t, dir, strings.Replace(whole, "https://auth.example.com", c.issuer, 1)+c.tls, configs.RoleAll, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, w := range l.Warnings {
				got += strings.TrimPrefix(w.String(), w.File+":")
			}
			if !strings.HasPrefix(got, c.warning) || (c.warning == "") != (got == "") || strings.Contains(got, c.secret) {
				t.Errorf("secret %q, issuer %s: warnings %q, want %q", c.secret, c.issuer, got, c.warning)
			}
		})
	}
}
