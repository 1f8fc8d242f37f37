package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/exchange/exchangetest"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/coatcheck/coatcheck/verifier"
)

const issuerURL = "https://auth.example.com"

// house is an edge on a real listener, with a real exchange on a real store behind it, and a service that records
// what reaches it.
type house struct {
	t       testing.TB
	edge    *gateway.Edge
	server  *httptest.Server
	service *service
	log     *lines

	exchange  *exchange.Exchange
	depositor *exchange.Depositor
	key       *ecdsa.PrivateKey
	records   *records
	follower  *revocation.Follower
	revoked   uint64 // number of the last revocation
}

// standard is the table of most tests.
func standard() []routes.Route {
	return []routes.Route{
		{Name: "orders-read", Match: "GET /orders/{rest...}", Upstream: "orders", Audience: "orders-api", Scopes: []string{"orders:read"}},
		{Name: "orders-write", Match: "POST /orders", Upstream: "orders", Audience: "orders-api", Scopes: []string{"orders:write"}},
		{Name: "orders-options", Match: "OPTIONS /orders/{rest...}", Upstream: "orders", Audience: "orders-api", Scopes: []string{"orders:read"}},
		{Name: "both", Match: "GET /both", Upstream: "orders", Audience: "orders-api", Scopes: []string{"orders:read", "orders:write"}},
		{Name: "billing", Match: "GET /v1/invoices", Upstream: "orders", Audience: "billing-api", Scopes: []string{"invoices:read"}, StripPrefix: "/v1"},
		{Name: "billing-any", Match: "GET /v1/any", Upstream: "orders", Audience: "billing-api"},
		{Name: "docs", Match: "GET /docs/{rest...}", Upstream: "orders", Public: true},
		{Name: "any", Match: "/any", Upstream: "orders", Audience: "orders-api"},
		{Name: "socket", Match: "GET /socket", Upstream: "orders", Audience: "orders-api", WebSocket: true},
		{Name: "strict", Match: "/strict", Upstream: "orders", Audience: "orders-api", Strict: true},
	}
}

// newHouse has a lease that outlasts the test: the cache answers whenever it can.
func newHouse(t testing.TB, change ...func(*gateway.Config)) *house {
	t.Helper()
	return newHouseUnder(t, time.Minute, 0, change...)
}

// newHouseUnder has a follower that pulls four times a lease, and a grace for streams (0: the default).
func newHouseUnder(t testing.TB, lease, grace time.Duration, change ...func(*gateway.Config)) *house {
	t.Helper()
	h := &house{t: t, service: newService(t), log: &lines{}, records: newRecords()}
	h.follow(lease, grace)
	h.openExchange()
	table, err := routes.New(standard())
	if err != nil {
		t.Fatal(err)
	}
	target, _ := url.Parse(h.service.server.URL)
	c := gateway.Config{
		Table:     table,
		Upstreams: map[string]gateway.Upstream{"orders": {Targets: []*url.URL{target}}},
		Swapper:   h.exchange,
		Logger:    slog.New(slog.NewJSONHandler(h.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	if h.edge, err = gateway.New(c); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewUnstartedServer(h.edge)
	h.server.Config = gateway.Server(h.edge)
	h.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	h.server.Start()
	t.Cleanup(h.server.Close)
	return h
}

func (h *house) openExchange() {
	h.t.Helper()
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		h.t.Fatal(err)
	}
	stampKey := make([]byte, 32)
	_, _ = rand.Read(stampKey) // never fails
	stamper, err := exchange.NewStamper("cck", time.Hour, stampKey)
	if err != nil {
		h.t.Fatal(err)
	}
	h.depositor = exchange.NewDepositor(stamper, h.records, h.follower)
	h.exchange, err = exchange.New(exchange.Config{
		Issuer:  issuerURL,
		Stamper: stamper,
		Records: h.records,
		Keys:    verifier.StaticKeys{"key-1": {ID: "key-1", Algorithm: "ES256", Public: h.key.Public()}},
		Log:     h.follower,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// grant is one reference and what it stands for.
type grant struct {
	reference string
	jti       string
	jwt       map[string]string // by audience
}

// issue deposits a grant: audiences to their scopes.
func (h *house) issue(shares map[string][]string, life time.Duration) grant {
	h.t.Helper()
	now := time.Now().Truncate(time.Second)
	ref := h.depositor.Reference()
	g := grant{reference: ref.Reveal(), jti: ref.JTI(), jwt: map[string]string{}}
	m := exchange.Manifest{
		Issuer: issuerURL, JTI: g.jti, ClientID: "partner-shop",
		Handles:  exchange.Handles{Client: "clienthandle", Family: "familyhandle", Subject: "subjecthandle"},
		IssuedAt: now, ExpiresAt: now.Add(life), Shares: map[string]exchange.ManifestShare{},
	}
	tokens := map[string]exchange.Token{}
	for audience, scopes := range shares {
		jwt := h.sign("at+jwt", map[string]any{"iss": issuerURL, "aud": audience, "jti": g.jti, "secret_claim": "canary-" + rand.Text()})
		g.jwt[audience], tokens[audience] = jwt, exchange.NewToken(jwt)
		m.Shares[audience] = exchange.ManifestShare{Scopes: scopes, SHA256: sha256.Sum256([]byte(jwt))}
	}
	err := h.depositor.Deposit(context.Background(), ref, exchange.Deposit{
		Manifest: h.sign(exchange.ManifestType, m.Claims()), Tokens: tokens,
		IssuedAt: now, ExpiresAt: m.ExpiresAt, KeyID: "key-1", Handles: m.Handles, Since: h.depositor.Since(),
	})
	if err != nil {
		h.t.Fatalf("deposit: %v", err)
	}
	return g
}

// full is a grant for everything in the standard table.
func (h *house) full() grant {
	return h.issue(map[string][]string{"orders-api": {"orders:read", "orders:write"}, "billing-api": {"invoices:read"}}, 10*time.Minute)
}

func (h *house) sign(typ string, claims map[string]any) string {
	h.t.Helper()
	return exchangetest.Sign(h.t, h.key, "key-1", typ, claims)
}

// answer is what a client got, whole.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // reading the body
}

// code is the code of a problem document; empty: it is none.
func (a answer) code() string {
	var p struct {
		Code   string `json:"code"`
		Status int    `json:"status"`
	}
	if json.Unmarshal([]byte(a.body), &p) != nil || p.Status != a.status || a.header.Get("Gateway-Error") != p.Code {
		return ""
	}
	return p.Code
}

// get asks for path with the header lines, "Name: value" each.
func (h *house) get(path string, header ...string) answer {
	h.t.Helper()
	return h.send("GET", path, "", header...)
}

// send writes a request as it stands, so that no client library mends it, and reads the answer.
func (h *house) send(method, target, body string, header ...string) answer {
	h.t.Helper()
	if body != "" {
		header = append(header, "Content-Length: "+itoa(len(body)))
	}
	head := method + " " + target + " HTTP/1.1\r\nHost: edge.example.com\r\n"
	for _, line := range header {
		head += line + "\r\n"
	}
	conn, r := h.dial()
	h.write(conn, head+"\r\n"+body)
	return h.read(r, method)
}

func (h *house) dial() (net.Conn, *bufio.Reader) {
	h.t.Helper()
	conn, err := new(net.Dialer).DialContext(h.t.Context(), "tcp", h.server.Listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func (h *house) write(conn net.Conn, text string) {
	h.t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatalf("write request: %v", err)
	}
}

// head reads an answer up to its body: of a 1xx that is all, of others it is all that the test wants.
func (h *house) head(r *bufio.Reader) (status int, header http.Header) {
	h.t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		h.t.Fatalf("read answer: %v", err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header
}

func (h *house) read(r *bufio.Reader, method string) answer {
	h.t.Helper()
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			h.t.Fatalf("read answer to %s: %v", method, err)
		}
		if res.StatusCode/100 == 1 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		for name, values := range res.Trailer {
			res.Header["Trailer-"+name] = values
		}
		return answer{res.StatusCode, res.Header, string(body), err}
	}
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func bearer(reference string) string { return "Authorization: Bearer " + reference }

// lines collects the log.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// entries are the access log's lines so far.
func (l *lines) entries(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(l.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if e["msg"] == "request" {
			all = append(all, e)
		}
	}
	return all
}

// entry waits for the n-th line: the answer may reach its client before the line is written.
func (l *lines) entry(t testing.TB, n int) map[string]any {
	t.Helper()
	eventually(t, "the log has line "+itoa(n), func() bool { return len(l.entries(t)) > n })
	return l.entries(t)[n]
}

// eventually asks until the answer is yes, for ten seconds at most.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has not come to pass that %s", what)
		}
	}
}
