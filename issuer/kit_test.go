package issuer

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
	"github.com/coatcheck/coatcheck/verifier"
)

const (
	testIssuer = "https://auth.example.com/tenants/one"
	shopSecret = "shop-secret-0123456789abcdef"
	oldSecret  = "a person chose this"
	// oddSecret has everything that form-urlencoding must carry through Basic.
	oddSecret = "colon:percent%plus+space and=ümläut&€"
)

// kit is a real issuer on a real store in memory, with its key ring loaded.
type kit struct {
	*Issuer
	store   *store.Memory
	stamper *exchange.Stamper
	log     *syncBuffer
	edge    *exchange.Exchange // swaps what this issuer issues
	ended   *recorder          // what was asked of the revoker
	read    *revocation.Follower
}

// syncBuffer is a log that a test may read while somebody writes it.
type syncBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newKit(t testing.TB, changes ...func(*Config)) *kit {
	t.Helper()
	k := buildKit(t, store.NewMemory(), changes...)
	if err := k.keeper.Look(t.Context()); err != nil {
		t.Fatalf("load key ring: %v", err)
	}
	return k
}

// buildKit leaves the ring to Run.
func buildKit(t testing.TB, s *store.Memory, changes ...func(*Config)) *kit {
	t.Helper()
	stamper := testStamper(t)
	log := &syncBuffer{}
	storetest.Open(t, s)
	// Nobody runs the edge's follower: there is no lease and no cache, and the store is asked for each swap.
	follower, err := revocation.NewFollower(revocation.FollowerConfig{Log: s})
	if err != nil {
		t.Fatal(err)
	}
	keys := &lateKeys{}
	edge, err := exchange.New(exchange.Config{Issuer: testIssuer, Stamper: stamper, Records: s, Keys: keys, Log: follower, Origins: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := newRecorder(t, s)
	c := testConfig(t)
	c.Names, c.State, c.Depositor = s, s, exchange.NewDepositor(stamper, s, readLog(t, s))
	c.Families = exchange.NewFamilies(c.Depositor, s)
	c.Revoker, c.Grants, c.Listing = ended, edge, s
	c.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, change := range changes {
		change(&c)
	}
	i, err := New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	keys.KeySource = i.Keys()
	return &kit{i, s, stamper, log, edge, ended, follower}
}

func testStamper(t testing.TB) *exchange.Stamper {
	t.Helper()
	s, err := exchange.NewStamper("cck", time.Hour, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readLog is a follower that has read the log once, and stopped: what is revoked later, it does not know.
func readLog(t testing.TB, log revocation.Log) *revocation.Follower {
	t.Helper()
	f, err := revocation.NewFollower(revocation.FollowerConfig{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = f.Run(ctx) })
	storetest.Eventually(t, 30*time.Second, "the log is read", func() bool { return f.Ready() == nil })
	stop()
	done.Wait()
	return f
}

// lateKeys are the issuer's, for an exchange that the issuer needs to be built.
type lateKeys struct{ verifier.KeySource }

func testConfig(t testing.TB) Config {
	t.Helper()
	creds := []string{"client_credentials"}
	orders := map[string][]string{"orders-api": {"orders:write", "orders:read"}}
	both := map[string][]string{"orders-api": {"orders:read", "orders:write"}, "billing-api": {"invoices:read"}}
	return Config{
		Issuer:  testIssuer,
		Sealing: sealingKeys(t, 1),
		Audiences: map[string]Audience{
			"orders-api":  {Scopes: map[string]string{"orders:read": "Read orders", "orders:write": "Change orders"}, Resource: "https://orders.example.com"},
			"billing-api": {Scopes: map[string]string{"invoices:read": "Read invoices"}},
			"secret-api":  {Scopes: map[string]string{"secrets:read": "Not for the clients here"}},
		},
		Clients: map[string]clients.Client{
			"shop": {
				Secret: hashed(t, shopSecret), GrantTypes: creds, Audiences: both,
				DefaultAudiences: []string{"orders-api"}, Claims: map[string]any{"tenant": "acme-canary-claim"},
				Serves: []string{"secret-api"},
			},
			"single":        {Secret: hashed(t, shopSecret), GrantTypes: creds, Audiences: orders, TTL: time.Minute},
			"undecided":     {Secret: hashed(t, shopSecret), GrantTypes: creds, Audiences: both},
			"bare":          {Secret: hashed(t, shopSecret), GrantTypes: creds, Audiences: map[string][]string{"orders-api": nil}},
			"old":           {Secret: argonHash(t), GrantTypes: creds, Audiences: orders},
			"odd:id%+":      {Secret: hashed(t, oddSecret), GrantTypes: creds, Audiences: orders},
			"public":        {Public: true, Audiences: orders},
			"signing":       {Keys: signingKeys(t), Serves: []string{"secret-api"}, GrantTypes: creds, Audiences: orders},
			"orders":        {Secret: hashed(t, shopSecret), Serves: []string{"orders-api"}},
			"billing":       {Secret: hashed(t, shopSecret), Serves: []string{"billing-api"}},
			"both-services": {Secret: hashed(t, shopSecret), Serves: []string{"orders-api", "billing-api"}},
			"without-grant": {Secret: hashed(t, shopSecret), Audiences: orders},
		},
	}
}

func sealingKeys(t testing.TB, firsts ...byte) *sealing.Keys {
	t.Helper()
	var raw [][]byte
	for _, b := range firsts {
		raw = append(raw, bytes.Repeat([]byte{b}, 32))
	}
	k, err := sealing.New(raw...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func hashed(t testing.TB, secret string) clients.SecretHash {
	t.Helper()
	h, err := clients.HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// argonHash is oldSecret under the cheapest parameters that are accepted.
func argonHash(t testing.TB) clients.SecretHash {
	t.Helper()
	h, err := clients.ParseSecretHash("$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHRzYWx0$Cem/Ex6wwros8pCr1YzTTF88mGUB15mME37M0XebkAg")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// basic is the Authorization field of RFC 6749 §2.3.1.
func basic(id, secret string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header
}

// shop is a form that gets a token; pairs add to it or replace.
func shop(pairs ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {shopSecret}}
	for n := 0; n < len(pairs); n += 2 {
		f.Set(pairs[n], pairs[n+1])
	}
	return f
}

func grantOnly() url.Values { return url.Values{"grant_type": {"client_credentials"}} }

// post sends a form to the token endpoint; headers may be nil.
func (k *kit) post(t testing.TB, f url.Values, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return k.send(t, f.Encode(), h)
}

func (k *kit) send(t testing.TB, body string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, k.place.tokenPath(), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range h {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	return w
}

// get asks for a document.
func (k *kit) get(t testing.TB, path string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for name, values := range h {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	return w
}

// token is a successful answer; anything else ends the test.
func (k *kit) token(t testing.TB, f url.Values) tokenAnswer {
	t.Helper()
	w := k.post(t, f, nil)
	var a tokenAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("POST %v: got %d %s, want a token", f, w.Code, w.Body)
	}
	return a
}

// wantRefusal checks status and code of an OAuth error, and what every error has in common.
func wantRefusal(t testing.TB, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Errorf("%s: body %q is not JSON: %v", what, w.Body, err)
		return
	}
	if w.Code != status || body.Error != code {
		t.Errorf("%s: got %d %s, want %d %s", what, w.Code, body.Error, status, code)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q, want no-store", what, got)
	}
}

// swap opens a reference the way an edge does.
func (k *kit) swap(t testing.TB, reference string) *exchange.Grant {
	t.Helper()
	p, _, err := k.edge.Swap(t.Context(), reference, exchange.Strict)
	if err != nil {
		t.Fatalf("swap: %v", err)
	}
	return p.Grant()
}

// jwt is what the service of that audience receives for a reference.
func (k *kit) jwt(t testing.TB, reference, audience string) string {
	t.Helper()
	s, ok := k.swap(t, reference).Share(audience)
	if !ok {
		t.Fatalf("the grant has no share for %s", audience)
	}
	return strings.TrimPrefix(s.Authorization(), "Bearer ")
}

// verified are that JWT's claims, as the service's verifier sees them.
func (k *kit) verified(t testing.TB, raw, audience string) *verifier.Claims {
	t.Helper()
	v, err := verifier.New(testIssuer, audience, verifier.Config{Keys: k.Keys()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("verify for %s: %v", audience, err)
	}
	return c
}

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
