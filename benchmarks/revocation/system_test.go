// Package revocation_test measures how soon a revocation has reached every edge, and what it costs to be told. The edges
// are the shipped follower, exchange and store over connections of their own to a real redis-server.
package revocation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
	"github.com/coatcheck/coatcheck/verifier"
)

const (
	issuerURL = "https://auth.example.com"
	keyID     = "key-1"
	audience  = "orders-api"
	patience  = 30 * time.Second
)

// system is a Redis, one issuer, and edges.
type system struct {
	t         *testing.T
	redis     *storetest.Redis
	stamper   *exchange.Stamper
	key       *ecdsa.PrivateKey
	depositor *exchange.Depositor
	revoker   *revocation.Revoker
	edges     []*exchange.Exchange
}

// newSystem starts everything and waits until each edge has a lease.
func newSystem(t *testing.T, edges int, lease time.Duration) *system {
	t.Helper()
	s := &system{t: t, redis: storetest.StartRedis(t)}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	stamp := make([]byte, 32)
	rand.Read(stamp) // never fails
	if s.stamper, err = exchange.NewStamper("cck", time.Hour, stamp); err != nil {
		t.Fatal(err)
	}
	s.startIssuer(lease)
	for range edges {
		s.startEdge()
	}
	return s
}

func (s *system) startIssuer(lease time.Duration) {
	s.t.Helper()
	db, log := s.connect()
	s.depositor = exchange.NewDepositor(s.stamper, db, log)
	journal, err := revocation.OpenJournal(filepath.Join(s.t.TempDir(), "journal"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.revoker, err = revocation.NewRevoker(revocation.RevokerConfig{
		Shards: db, Journal: journal, Issuer: "issuer-1", Issuers: []string{"issuer-1"}, Lease: lease,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = journal.Close() }) // after Run has ended: cleanups run in reverse
	s.run(s.revoker.Run)
	s.await("the issuer has opened the store", func() bool { return s.revoker.Ready() == nil && log.Ready() == nil })
}

func (s *system) startEdge() {
	s.t.Helper()
	db, log := s.connect()
	x, err := exchange.New(exchange.Config{
		Issuer: issuerURL, Stamper: s.stamper, Records: db, Log: log,
		Keys: verifier.StaticKeys{keyID: {ID: keyID, Algorithm: "ES256", Public: s.key.Public()}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.edges = append(s.edges, x)
	s.await("an edge has a lease", func() bool { return log.Ready() == nil })
}

// connect is one process's way to the store.
func (s *system) connect() (*store.Redis, *revocation.Follower) {
	s.t.Helper()
	db, err := store.NewRedis(store.RedisConfig{Addr: s.redis.Addr, Timeout: 2 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	log, err := revocation.NewFollower(revocation.FollowerConfig{Log: db})
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(log.Run)
	return db, log
}

// run runs background work until the test ends.
func (s *system) run(work func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := work(ctx); err != nil {
			s.t.Errorf("background work: %v", err)
		}
	})
	s.t.Cleanup(func() { stop(); done.Wait() })
}

func (s *system) await(what string, so func() bool) {
	s.t.Helper()
	storetest.Eventually(s.t, patience, what, so)
}

// issue makes a grant and lets every edge swap it, so that each has it in its cache.
func (s *system) issue(client string) (raw, jti string) {
	s.t.Helper()
	since := s.depositor.Since()
	r := s.depositor.Reference()
	jti = r.JTI()
	now := time.Now().Truncate(time.Second)
	token := exchange.NewToken(strings.Repeat("x", 700))
	m := exchange.Manifest{
		Issuer: issuerURL, JTI: jti, ClientID: client, IssuedAt: now, ExpiresAt: now.Add(30 * time.Minute),
		Handles: exchange.Handles{Client: "client-" + client, Family: "family-" + jti, Subject: "subject-" + client},
		Shares:  map[string]exchange.ManifestShare{audience: {Scopes: []string{"orders:read"}, SHA256: sha256.Sum256([]byte(token.Reveal()))}},
	}
	err := s.depositor.Deposit(s.t.Context(), r, exchange.Deposit{
		Manifest: s.sign(m.Claims()), Tokens: map[string]exchange.Token{audience: token}, IssuedAt: m.IssuedAt, ExpiresAt: m.ExpiresAt,
		KeyID: keyID, Handles: m.Handles, Since: since, MaxGrants: 1_000_000, MaxBytes: 1 << 40,
	})
	if err != nil {
		s.t.Fatalf("deposit: %v", err)
	}
	raw = r.Reveal()
	for i, x := range s.edges {
		s.await(fmt.Sprintf("edge %d has the grant in its cache", i), func() bool {
			_, source, err := x.Swap(s.t.Context(), raw, exchange.Leased)
			return err == nil && source == exchange.SourceHit
		})
	}
	return raw, jti
}

func (s *system) sign(claims map[string]any) string {
	s.t.Helper()
	segment := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := segment(map[string]any{"alg": "ES256", "kid": keyID, "typ": exchange.ManifestType}) + "." + segment(claims)
	digest := sha256.Sum256([]byte(text))
	r, q, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		s.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	q.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}
