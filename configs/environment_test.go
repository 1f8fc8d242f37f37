package configs_test

import (
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

func TestVariablesWinOverTheFile(t *testing.T) {
	t.Parallel()
	l, err := loadText(t, secrets(t), whole, configs.RoleAll, map[string]string{
		"COATCHECK_LISTEN_GATEWAY":       "127.0.0.1:9443", // instead of the file's
		"COATCHECK_LISTEN_METRICS":       "127.0.0.1:9444", // beside it
		"COATCHECK_TELEMETRY_LOGS_LEVEL": "debug",          // in sections that the file lacks
		"COATCHECK_CACHE_SIZE":           "2MiB",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{l.Listen.Gateway, l.Listen.Issuer, l.Listen.Metrics, l.Telemetry.LogLevel, l.Exchange.CacheBytes}
	want := []any{"127.0.0.1:9443", "127.0.0.1:8081", "127.0.0.1:9444", "debug", int64(2 << 20)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestAFaultOfAVariableNamesIt(t *testing.T) {
	t.Parallel()
	_, err := loadText(t, secrets(t), whole, configs.RoleAll, map[string]string{"COATCHECK_TOKENS_TTL": "canary", "COATCHECK_STORE": "canary"})
	want := []string{
		"COATCHECK_STORE: store: \"${env:COATCHECK_STORE}\" is not a store: write `memory`, or {redis: {url: …}}",
		"COATCHECK_TOKENS_TTL: tokens.ttl: \"${env:COATCHECK_TOKENS_TTL}\" is not a duration: write a number with its unit, such as 500ms, 30s, 10m, 12h or 30d",
	}
	if diff := cmp.Diff(want, faultsOf(t, err)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	got := configs.UnknownVariables([]string{
		"HOME=/root", "COATCHECK_LISTEN_GATEWAY=:8080", "COATCHECK_LISTEN_GATWAY=canary", "COATCHECK_CALL_SECRET=x",
		// What Kubernetes sets in every pod beside Services called coatcheck and coatcheck-edge.
		"COATCHECK_SERVICE_HOST=10.0.0.1", "COATCHECK_PORT=tcp://10.0.0.1:8080", "COATCHECK_EDGE_SERVICE_PORT_HTTP=8080",
		"COATCHECK_EDGE_PORT_8080_TCP_ADDR=10.0.0.1",
	}, "COATCHECK_CALL_SECRET")
	want := `COATCHECK_LISTEN_GATWAY: sets no key of the configuration; did you mean "COATCHECK_LISTEN_GATEWAY"?`
	if got.Error() != want {
		t.Errorf("UnknownVariables:\n got %s\nwant %s", got.Error(), want)
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a variable":                       {"${env:HOST}", "acme"},
		"in the middle":                    {"a-${env:HOST}-b", "a-acme-b"},
		"a default that is not needed":     {"${env:HOST:-other}", "acme"},
		"a default for what is not set":    {"${env:NOT_SET:-other}", "other"},
		"a default for what is empty":      {"${env:EMPTY:-other}", "other"},
		"an empty default":                 {"x${env:NOT_SET:-}", "x"},
		"a file without its last newline":  {"${file:name.txt}", "from-file"},
		"the characters themselves":        {"$${env:HOST}", "${env:HOST}"},
		"a dollar alone":                   {"$HOST $", "$HOST $"},
		"what comes in is not filled anew": {"${env:NESTED}", "${env:HOST}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := secrets(t)
			write(t, dir+"/coatcheck.yaml", whole+"    claims: {tenant: \""+c.text+"\"}\n")
			write(t, dir+"/name.txt", "from-file\n")
			l, err := configs.Load(dir+"/coatcheck.yaml", configs.RoleAll, env(map[string]string{
				"SECRETS": dir, "HOST": "acme", "EMPTY": "", "NESTED": "${env:HOST}",
			}))
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Issuer.Clients["shop"].Claims["tenant"]; got != c.want {
				t.Errorf("%s: %q, want %q", c.text, got, c.want)
			}
		})
	}
}

// TestPlaceholdersCannotAddStructure: what comes in is one value, whatever YAML it looks like.
func TestPlaceholdersCannotAddStructure(t *testing.T) {
	t.Parallel()
	text := whole + "    claims: {tenant: \"${env:EVIL}\"}\n"
	evil := "acme\"}\nroutes: []\n#"
	l, err := loadText(t, secrets(t), text, configs.RoleAll, map[string]string{"EVIL": evil})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Issuer.Clients["shop"].Claims["tenant"]; got != evil || l.Gateway.Table.Len() != strings.Count(whole, "match:") {
		t.Errorf("tenant %q and %d routes, want the text alone", got, l.Gateway.Table.Len())
	}
}

// TestVariablesOfEntriesAreToldApart: no near name is the mend where there can be no variable.
func TestVariablesOfEntriesAreToldApart(t *testing.T) {
	t.Parallel()
	for name, section := range map[string]string{
		"COATCHECK_CLIENTS_SHOP_SECRET": "clients", "COATCHECK_ROUTES": "routes", "COATCHECK_UPSTREAMS_ORDERS_URL": "upstreams",
		"COATCHECK_AUDIENCES_ORDERS_API": "audiences", "COATCHECK_LISTEN_TRUSTED_PROXIES": "listen.trusted_proxies",
	} {
		want := name + ": sets no key of the configuration; lists and named entries have no variables: write ${env:…} in the file, under " + section
		if got := configs.UnknownVariables([]string{name + "=canary"}).Error(); got != want {
			t.Errorf("UnknownVariables:\n got %s\nwant %s", got, want)
		}
	}
}
