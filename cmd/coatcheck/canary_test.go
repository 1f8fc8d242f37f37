package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestCanary: after 1,000 mixed requests, good and bad, no piece of a reference, a JWT, a secret, a subject or a claim
// value is anywhere but where it belongs. The test proves first that it finds what is there.
func TestCanary(t *testing.T) {
	t.Parallel()
	collector := newCollector(t)
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Replace: []string{
		"telemetry:\n", "limits: {bad_references: off}\ntelemetry:\n  traces: {otlp_endpoint: " + collector.url + ", sample: 100%}\n",
	}})
	issuer := lab.StartIssuer("--unsafe-expose-pprof-on-metrics")
	edge := lab.StartEdge("--unsafe-expose-pprof-on-metrics")
	ops := []string{issuer.Address("metrics"), edge.Address("metrics")}
	for _, addr := range ops {
		client.Ready(addr)
	}

	c := newCanary(t, lab, client)
	c.traffic(1_000)
	c.revocations(issuer)
	hay := map[string]string{"what the client received": c.received.String()}
	for i, addr := range ops {
		hay["metrics of "+[]string{"issuer", "edge"}[i]] = client.Do("GET", "http://"+addr+"/metrics", nil, "").Body
		for _, profile := range []string{"heap?debug=1", "goroutine?debug=2", "allocs?debug=1"} {
			hay[profile+" of "+addr] = client.Do("GET", "http://"+addr+"/debug/pprof/"+profile, nil, "").Body
		}
	}
	maps.Copy(hay, redisContent(t, lab))
	for name, p := range map[string]*processtest.Process{"issuer": issuer, "edge": edge} {
		if code := p.Terminate(); code != exitOK { // sends the last spans, flushes the last lines
			t.Errorf("the %s ended with %d, want 0", name, code)
		}
		hay["log of the "+name] = p.Stderr.String() + p.Stdout.String()
	}
	hay["traces"] = collector.all()
	hay["the issuer's journal"] = read(t, lab.Journal("issuer-1"))

	for _, name := range slices.Sorted(maps.Keys(hay)) {
		if len(hay[name]) < 20 {
			t.Errorf("%s: only %d bytes to search: the test sees nothing there", name, len(hay[name]))
		}
		for _, found := range c.needles.in(hay[name]) {
			t.Errorf("%s holds %s", name, found)
		}
	}
	c.provesItself(hay)
}

// canary makes traffic and knows what must not be found of it.
type canary struct {
	t          *testing.T
	lab        *processtest.Lab
	client     *processtest.Client
	needles    *needles
	references []string
	received   strings.Builder
}

func newCanary(t *testing.T, lab *processtest.Lab, client *processtest.Client) *canary {
	c := &canary{t: t, lab: lab, client: client, needles: newNeedles()}
	c.needles.add("the client's secret", lab.Secret)
	c.needles.add("a claim's value", lab.Tenant)
	// The client's id is a label of metrics and a key of logs; as a subject it must appear nowhere.
	c.needles.add("the subject", ("client:" + lab.Client)[:len("client:")+piece-1])
	for _, file := range []string{"encryption_key", "stamp_keys", "admin_token"} {
		key, err := os.ReadFile(filepath.Join(lab.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		c.needles.add(file, strings.TrimSpace(string(key)))
	}
	for range 10 {
		r := lab.Token(client)
		c.references = append(c.references, r)
		c.needles.add("a reference", r)
	}
	return c
}

// traffic sends n requests of every kind that a client can think of, and learns the JWTs from the services.
func (c *canary) traffic(n int) {
	lab, stolen := c.lab, ""
	for i := range n {
		r := c.references[i/20%len(c.references)]
		good := http.Header{"Authorization": {"Bearer " + r}}
		switch i % 20 {
		case 0, 1, 2, 3:
			c.send("GET", "/orders/17", good, "")
		case 4, 5:
			c.send("GET", "/invoices/3", good, "")
		case 6:
			c.send("POST", "/orders", good, "no scope for this") // 403
		case 7:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Bearer " + r, "Bearer " + r}}, "") // 400
		case 8:
			c.send("GET", "/orders/1?access_token="+r, nil, "") // 400
		case 9:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Bearer " + stolen}}, "") // 401
		case 10:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Basic " + r}}, "")
		case 11:
			c.send("GET", "/nowhere/"+r, good, "") // 404
		case 12:
			c.send("DELETE", "/orders/17", good, "") // 405
		case 13:
			c.send("GET", "/orders/../"+r, good, "") // 400
		case 14:
			c.send("GET", "/docs/"+r, good, "") // public: credentials are stripped
		case 15:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Bearer " + r + "x"}}, "") // 401
		case 16:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Bearer " + r}, "X-Request-Id": {r}, "Traceparent": {r}}, "")
		case 17:
			c.send("GET", "/orders/1", http.Header{"Authorization": {"Bearer " + r[:40]}, "User-Agent": {r}, "Referer": {"http://x/" + r}}, "")
		case 18:
			c.send("TRACE", "/orders/1", good, "")
		case 19:
			c.wrongSecret(r)
		}
		if i == 3 {
			stolen = lab.Orders.Last(c.t).JWT()
		}
	}
	jwts := map[string]bool{}
	for _, req := range slices.Concat(lab.Orders.Requests(), lab.Billing.Requests()) {
		if jwt := req.JWT(); jwt != "" && !jwts[jwt] {
			jwts[jwt] = true
			c.needles.add("a JWT", jwt)
		}
	}
	if len(jwts) < len(c.references) {
		c.t.Errorf("%d JWTs reached the services for %d references: the traffic is not what it should be", len(jwts), len(c.references))
	}
}

func (c *canary) send(method, path string, header http.Header, body string) {
	c.t.Helper()
	a := c.client.Do(method, c.lab.Edge()+path, header, body)
	fmt.Fprintf(&c.received, "%d %v\n%s\n", a.Status, a.Header, a.Body)
}

// wrongSecret presents a reference as a secret: what the issuer answers and logs must not show it.
func (c *canary) wrongSecret(r string) {
	c.t.Helper()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a := c.client.Do("POST", c.lab.Issuer()+"/oauth2/token", form,
		"grant_type=client_credentials&client_id="+c.lab.Client+"&client_secret="+r+"&scope="+r)
	fmt.Fprintf(&c.received, "%d %v\n%s\n", a.Status, a.Header, a.Body)
}

// revocations end grants in each way in which somebody may write down what he should not.
func (c *canary) revocations(issuer *processtest.Process) {
	c.t.Helper()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, token := range []string{c.references[1], c.references[2] + "x", c.lab.Orders.Last(c.t).JWT()} {
		a := c.client.Do("POST", c.lab.Issuer()+"/oauth2/revoke", form, url.Values{"token": {token}, "client_id": {c.lab.Client}, "client_secret": {c.lab.Secret}}.Encode())
		fmt.Fprintf(&c.received, "%d %v\n%s\n", a.Status, a.Header, a.Body)
	}
	for _, order := range []map[string]any{
		{"subject": "client:" + c.lab.Client, "dry_run": true, "reason": "canary"},
		{"subject": "client:" + c.lab.Client, "reason": "canary"},
		{"jti": c.references[3]}, // where it does not belong
	} {
		a := c.lab.Admin(c.client, issuer, "POST", "/v1/revocations", order)
		fmt.Fprintf(&c.received, "%d %v\n%s\n", a.Status, a.Header, a.Body)
	}
	a := c.lab.Admin(c.client, issuer, "GET", "/v1/tokens?subject="+url.QueryEscape("client:"+c.lab.Client), nil)
	fmt.Fprintf(&c.received, "%d %v\n%s\n", a.Status, a.Header, a.Body)
}

// provesItself plants one canary in each haystack's middle and looks for it.
func (c *canary) provesItself(hay map[string]string) {
	for name, data := range hay {
		planted := data[:len(data)/2] + c.references[0][20:20+piece] + data[len(data)/2:]
		if len(c.needles.in(planted)) == 0 {
			c.t.Errorf("%s: a planted piece of a reference was not found: this test could not have failed", name)
		}
	}
	belongs := c.lab.Orders.Requests()[0].Header.Get("Authorization")
	if len(c.needles.in(belongs)) == 0 {
		c.t.Error("the JWT was not found at the service, where it belongs: this test could not have failed")
	}
}

// redisContent is every key and value that Redis holds, and every write that it has ever seen.
func redisContent(t *testing.T, lab *processtest.Lab) map[string]string {
	t.Helper()
	hay := map[string]string{"keys of Redis": strings.Join(lab.Redis.Keys(), "\n")}
	var values strings.Builder
	for _, key := range lab.Redis.Keys() {
		switch kind := lab.Redis.Do("TYPE", key); kind {
		case "hash":
			fmt.Fprintln(&values, lab.Redis.Do("HGETALL", key))
		case "string":
			fmt.Fprintln(&values, lab.Redis.Do("GET", key))
		case "stream":
			fmt.Fprintln(&values, lab.Redis.Do("XRANGE", key, "-", "+"))
		case "zset":
			fmt.Fprintln(&values, lab.Redis.Do("ZRANGE", key, "0", "-1", "WITHSCORES"))
		default:
			t.Errorf("Redis holds a %v under %s: teach this test to read it", kind, key)
		}
	}
	hay["values of Redis"] = values.String()
	dir := lab.Redis.Do("CONFIG", "GET", "dir").([]any)[1].(string)
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no append-only file in %s: %v", dir, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		hay["everything ever written to Redis ("+filepath.Base(f)+")"] = string(data)
	}
	return hay
}

// collector is an OTLP/HTTP collector that keeps what it gets, as it got it.
type collector struct {
	url string

	mu     sync.Mutex // guards bodies
	bodies []string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("spans arrived unreadable: %v, Content-Encoding %q", err, r.Header.Get("Content-Encoding"))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies = append(c.bodies, fmt.Sprint(r.URL, r.Header), string(body))
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.bodies, "\n")
}
