package nemesis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
	"github.com/coatcheck/coatcheck/exchange"
)

func TestMain(m *testing.M) { os.Exit(processtest.Main(m)) }

// cluster is two edges and two issuers on one Redis, each with a way to Redis of its own.
type cluster struct {
	t       *testing.T
	lab     *processtest.Lab
	edges   []*node
	issuers []*node
	http    *http.Client
	history *history
	clients []string // one for each worker, so that ending all of a client's tokens ends one worker's
}

// node is one process and those that were in its place before.
type node struct {
	name, addr string
	proxy      *processtest.Proxy
	start      func() *processtest.Process

	mu    sync.Mutex // guards what follows
	all   []*processtest.Process
	admin string // where the last of them listens for operators; "": not known yet
}

func (n *node) process() *processtest.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[len(n.all)-1]
}

func (n *node) launch() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all, n.admin = append(n.all, n.start()), ""
}

// adminAddress is where the process listens for operators; "" when it does not say, because it has just begun or ended.
func (n *node) adminAddress() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.admin != "" {
		return n.admin
	}
	for line := range strings.Lines(n.all[len(n.all)-1].Stderr.String()) {
		var said struct{ Msg, Listener, Addr string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" && said.Listener == "admin" {
			n.admin = said.Addr
		}
	}
	return n.admin
}

// newCluster starts everything and waits until it is ready.
func newCluster(t *testing.T, workers int) *cluster {
	t.Helper()
	c := &cluster{t: t, history: &history{}, http: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	t.Cleanup(c.http.CloseIdleConnections)
	registered := "clients:\n"
	for i := range workers {
		c.clients = append(c.clients, fmt.Sprintf("client-%d", i))
		registered += fmt.Sprintf("  %s: {secret_file: client_secret, grant_types: [client_credentials], audiences: {orders-api: [\"orders:read\"]}, default_audiences: [orders-api]}\n", c.clients[i])
	}
	names := []string{"issuer-1", "issuer-2"}
	c.lab = processtest.New(t, processtest.Options{Issuers: names, Missing: "3s", Replace: []string{"clients:\n", registered, "level: debug", "level: info"}})
	c.lab.Orders.Answer = c.arrive
	for i, name := range names {
		n := &node{name: name, addr: c.lab.IssuerAddr, proxy: processtest.NewProxy(t, c.lab.Redis.Addr)}
		if i > 0 {
			n.addr = processtest.FreeAddress(t)
		}
		n.start = func() *processtest.Process {
			return c.lab.StartIssuerAs(processtest.Instance{Name: n.name, Addr: n.addr, Redis: n.proxy.Addr})
		}
		c.issuers = append(c.issuers, n)
	}
	for i := range 2 {
		n := &node{name: fmt.Sprintf("edge-%d", i+1), addr: c.lab.EdgeAddr, proxy: processtest.NewProxy(t, c.lab.Redis.Addr)}
		if i > 0 {
			n.addr = processtest.FreeAddress(t)
		}
		n.start = func() *processtest.Process {
			return c.lab.StartEdgeAs(processtest.Instance{Addr: n.addr, Redis: n.proxy.Addr}, "--unsafe-expose-decisions")
		}
		c.edges = append(c.edges, n)
	}
	ready := processtest.NewClient(t)
	for _, n := range c.nodes() {
		n.launch()
	}
	for _, n := range c.nodes() {
		ready.Ready(n.process().Address("metrics"))
	}
	return c
}

func (c *cluster) nodes() []*node { return append(append([]*node{}, c.issuers...), c.edges...) }

// arrive writes down whose JWT has reached the service.
func (c *cluster) arrive(w http.ResponseWriter, r *http.Request) {
	at := now()
	jti, _ := processtest.Request{Header: r.Header}.Claims(c.t)["jti"].(string)
	c.history.arrived(seen{jti, at, "orders"})
	_, _ = io.WriteString(w, `{}`)
}

// token asks an issuer for a token; "" when that fails.
func (c *cluster) token(ctx context.Context, issuer *node, client string) (raw, jti string) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {c.lab.Secret}}
	status, body := c.post(ctx, "http://"+issuer.addr+"/oauth2/token", "", form.Encode(), "application/x-www-form-urlencoded")
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &got) != nil {
		return "", ""
	}
	jti, err := exchange.JTIOf(got.AccessToken)
	if err != nil {
		c.t.Errorf("the issuer gave what is no reference: %v", err)
	}
	c.history.add(issued{jti, client, now()})
	return got.AccessToken, jti
}

// giveBack is RFC 7009, by the client itself.
func (c *cluster) giveBack(ctx context.Context, issuer *node, client, raw string) bool {
	form := url.Values{"token": {raw}, "client_id": {client}, "client_secret": {c.lab.Secret}}
	status, _ := c.post(ctx, "http://"+issuer.addr+"/oauth2/revoke", "", form.Encode(), "application/x-www-form-urlencoded")
	return status == http.StatusOK
}

// order is a revocation by an operator.
func (c *cluster) order(ctx context.Context, issuer *node, body map[string]any) bool {
	addr := issuer.adminAddress()
	if addr == "" {
		return false
	}
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	status, _ := c.post(ctx, "http://"+addr+"/v1/revocations", c.lab.AdminToken, string(text), "application/json")
	return status == http.StatusOK
}

func (c *cluster) post(ctx context.Context, target, bearer, body, kind string) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return c.send(req)
}

// try sends one request with a token through an edge, and writes down when.
func (c *cluster) try(ctx context.Context, edge *node, raw, jti string) (status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+edge.addr+"/orders/17", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+raw)
	sent := now()
	status, _ = c.send(req)
	c.history.add(probe{jti, sent, status})
	return status
}

// send returns status 0 when nobody answers: that is what a nemesis is for.
func (c *cluster) send(req *http.Request) (status int, body []byte) {
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// collect takes the decisions from the edges' logs, those of killed ones included.
func (c *cluster) collect() {
	for _, n := range c.edges {
		n.mu.Lock()
		for _, p := range n.all {
			for line := range strings.Lines(p.Stderr.String()) {
				var said struct {
					JTI     string `json:"jti"`
					Decided moment `json:"decided_ns"`
				}
				if json.Unmarshal([]byte(line), &said) == nil && said.Decided != 0 {
					c.history.decisions = append(c.history.decisions, seen{said.JTI, said.Decided, n.name})
				}
			}
		}
		n.mu.Unlock()
	}
}
