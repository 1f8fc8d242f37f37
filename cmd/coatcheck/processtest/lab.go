package processtest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/coatcheck/coatcheck/store/storetest"
)

//go:embed lab.yaml
var labYAML string

// Lab is one deployment: a configuration with secrets of its own, a redis-server, and two upstreams. Its processes
// are started by the test. Addresses stay the same over restarts.
type Lab struct {
	Dir, Config          string // the directory of the configuration file, and the file
	IssuerAddr, EdgeAddr string
	Redis                *storetest.Redis
	Orders, Billing      *Upstream
	Client, Secret       string // the one configured client
	Tenant               string // the value of the claim `tenant` in its JWTs
	TTL                  string // of its references
	Lease, Missing       string // revocation.lease and missing_after
	Issuers              []string
	AdminToken           string // may revoke
	ReaderToken          string // may only look

	t testing.TB
}

// Options change a Lab. The zero value is a good one.
type Options struct {
	TTL     string   // of references; default 10m
	Lease   string   // default 500ms
	Missing string   // revocation.missing_after; default 30s
	Issuers []string // names; default issuer-1 alone
	// Replace holds pairs of old and new text for the configuration. An old text that is not in it fails the test.
	Replace []string
}

// New makes a lab and starts its Redis, which keeps its data over Restart.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	l := &Lab{
		t: t, Dir: t.TempDir(), IssuerAddr: FreeAddress(t), EdgeAddr: FreeAddress(t),
		Redis: storetest.StartDurableRedis(t), Orders: NewUpstream(t, "orders"), Billing: NewUpstream(t, "billing"),
		Client: "shop-" + strings.ToLower(rand.Text()), Secret: rand.Text(), Tenant: "tenant-" + strings.ToLower(rand.Text()),
		TTL: cmp.Or(o.TTL, "10m"), Lease: cmp.Or(o.Lease, "500ms"), Missing: cmp.Or(o.Missing, "30s"), Issuers: o.Issuers,
		AdminToken: rand.Text() + rand.Text(), ReaderToken: rand.Text() + rand.Text(),
	}
	if len(l.Issuers) == 0 {
		l.Issuers = []string{firstIssuer}
	}
	l.Write("encryption_key", Key())
	l.Write("stamp_keys", Key())
	l.Write("client_secret", l.Secret+"\n")
	l.Write("admin_token", l.AdminToken+"\n")
	l.Write("reader_token", l.ReaderToken+"\n")
	l.Config = l.Write("coatcheck.yaml", l.render(o))
	return l
}

func (l *Lab) render(o Options) string {
	l.t.Helper()
	var b bytes.Buffer
	if err := template.Must(template.New("lab.yaml").Funcs(template.FuncMap{"join": strings.Join}).Parse(labYAML)).Execute(&b, l); err != nil {
		l.t.Fatalf("render lab.yaml: %v", err)
	}
	text := b.String()
	for i := 0; i+1 < len(o.Replace); i += 2 {
		if !strings.Contains(text, o.Replace[i]) {
			l.t.Fatalf("lab.yaml does not contain %q:\n%s", o.Replace[i], text)
		}
		text = strings.ReplaceAll(text, o.Replace[i], o.Replace[i+1])
	}
	return text
}

// Write puts a file, readable by the user alone, beside the configuration, and returns its path.
func (l *Lab) Write(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// Key is one line of a key file: 32 random bytes in standard base64.
func Key() string {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key) + "\n"
}

// Up starts an issuer and an edge and waits until both are ready.
func (l *Lab) Up(c *Client) (issuer, edge *Process) {
	l.t.Helper()
	issuer, edge = l.StartIssuer(), l.StartEdge()
	c.Ready(issuer.Address("metrics"))
	c.Ready(edge.Address("metrics"))
	return issuer, edge
}

// Issuer and Edge are URLs.
func (l *Lab) Issuer() string { return "http://" + l.IssuerAddr }
func (l *Lab) Edge() string   { return "http://" + l.EdgeAddr }

// Token gets a reference for the lab's client; extra as in Client.Token.
func (l *Lab) Token(c *Client, extra ...string) string {
	l.t.Helper()
	return c.Token(l.Issuer(), l.Client, l.Secret, extra...)
}
