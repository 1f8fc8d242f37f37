package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/gin-gonic/gin"
)

const authURL = "https://auth.example.com"

// The gateway as a library: an edge with a gin handler of one's own, and everything that it needs, in one process. What differs in
// a fleet stands beside each line.
func Example() {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second) // signal.NotifyContext
	defer stop()

	stamper, err := exchange.NewStamper("cck", time.Hour, key()) // the same key at issuers and edges
	check(err)
	records := store.NewGuard(store.NewMemory()) // store.NewRedis
	go records.Run(ctx, slog.New(slog.DiscardHandler))
	follower, err := revocation.NewFollower(revocation.FollowerConfig{Log: records}) // one in each process
	check(err)
	go func() { check(follower.Run(ctx)) }()
	var keys issuerKeys // verifier.NewJWKS
	swap, err := exchange.New(exchange.Config{Issuer: authURL, Stamper: stamper, Records: records, Keys: &keys, Log: follower})
	check(err)
	secret := rand.Text()
	auth := startIssuer(ctx, issuer.Config{
		State: records, Depositor: exchange.NewDepositor(stamper, records, follower), Grants: swap, Listing: records,
	}, records, secret) // another process, with an exchange of its own
	keys.KeySource = auth.Keys()

	table, err := routes.New([]routes.Route{
		{Name: "orders", Match: "GET /orders/{rest...}", Upstream: "orders", Audience: "orders-api", Scopes: []string{"orders:read"}},
	})
	check(err)
	orders := startOrders(auth.Keys())
	defer orders.Close()
	target, err := url.Parse(orders.URL)
	check(err)
	edge, err := gateway.New(gateway.Config{
		Table:     table,
		Upstreams: map[string]gateway.Upstream{"orders": {Targets: []*url.URL{target}}},
		Swapper:   swap,
	})
	check(err)
	edge.Use(func(c *gin.Context) { // runs on every request, after the reference was taken off it
		fmt.Println("a handler sees", len(c.Request.Header["Authorization"]), "credentials")
		c.Request.Header.Set("X-Shelf", "7")
	})
	go func() { check(edge.Run(ctx)) }() // health checks of the upstreams; nil when ctx ends

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	check(err)
	server := gateway.Server(edge) // with every limit set; add TLSConfig, or let a balancer end TLS
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }() // server.Shutdown, so that requests end first

	for (records.Ready() != nil || follower.Ready() != nil || auth.Ready() != nil) && ctx.Err() == nil {
		time.Sleep(time.Millisecond) // until then the edge answers 503 by itself
	}
	at := "http://" + listener.Addr().String() + "/orders/17"
	var token struct {
		Reference string `json:"access_token"`
	}
	check(json.Unmarshal(post(auth, "/oauth2/token", secret, "grant_type=client_credentials"), &token))
	fmt.Println(get(ctx, at, token.Reference))
	post(auth, "/oauth2/revoke", secret, "token="+token.Reference) // takes as long as the longest lease; then it holds everywhere
	fmt.Println(get(ctx, at, token.Reference))
	// Output:
	// a handler sees 0 credentials
	// 200 order of shop from shelf 7
	// a handler sees 0 credentials
	// 401 The reference is not active; get a new one.
}

// issuerKeys are those of an issuer in the same process, which needs an exchange before it can be built.
type issuerKeys struct{ verifier.KeySource }

// startIssuer knows one service and one client of it.
func startIssuer(ctx context.Context, c issuer.Config, records revocation.Shards, secret string) *issuer.Issuer {
	journal := revocation.NewVolatileJournal() // revocation.OpenJournal, for a store that outlives the process
	revoker, err := revocation.NewRevoker(revocation.RevokerConfig{
		Shards: records, Journal: journal, Issuer: "issuer-1", Issuers: []string{"issuer-1"},
	})
	check(err)
	go func() { check(revoker.Run(ctx)) }() // opens the store
	c.Issuer, c.Revoker = authURL, revoker
	c.Sealing, err = sealing.New(key())
	check(err)
	hash, err := clients.HashSecret(secret)
	check(err)
	c.Audiences = map[string]issuer.Audience{"orders-api": {Scopes: map[string]string{"orders:read": "Read orders"}}}
	c.Clients = map[string]clients.Client{"shop": {
		Secret: hash, GrantTypes: []string{"client_credentials"}, Audiences: map[string][]string{"orders-api": {"orders:read"}},
	}}
	auth, err := issuer.New(c)
	check(err)
	go func() { check(auth.Run(ctx)) }() // loads or makes the signing keys
	return auth
}

// startOrders is a service behind the edge. It accepts JWTs for itself and nothing else.
func startOrders(keys verifier.KeySource) *httptest.Server {
	v, err := verifier.New(authURL, "orders-api", verifier.Config{Keys: keys})
	check(err)
	return httptest.NewServer(v.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verifier.FromContext(r.Context())
		_ = json.NewEncoder(w).Encode(map[string]string{"detail": "order of " + claims.ClientID + " from shelf " + r.Header.Get("X-Shelf")})
	})))
}

// post is what the client shop sends to the issuer.
func post(auth *issuer.Issuer, path, secret, form string) []byte {
	r := httptest.NewRequest(http.MethodPost, authURL+path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("shop", secret)
	w := httptest.NewRecorder()
	auth.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		log.Fatal(path, " ", w.Code, " ", w.Body)
	}
	return w.Body.Bytes()
}

// get asks as a third party would.
func get(ctx context.Context, url, reference string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	check(err)
	r.Header.Set("Authorization", "Bearer "+reference)
	res, err := http.DefaultClient.Do(r)
	check(err)
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Detail string }
	check(json.NewDecoder(io.LimitReader(res.Body, 4096)).Decode(&answer))
	return fmt.Sprint(res.StatusCode, " ", answer.Detail)
}

// key stands for a secret file of 32 random bytes.
func key() []byte {
	k := make([]byte, 32)
	_, _ = rand.Read(k) // never fails
	return k
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
