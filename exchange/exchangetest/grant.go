package exchangetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/verifier"
)

// Grant is what an issuer is about to give out.
type Grant struct {
	Client, Family, Subject string // handles
	KeyID                   string
	IssuedAt, ExpiresAt     time.Time

	since     exchange.Since
	reference exchange.Reference
}

// Begin is the beginning of a mint: from here on, what is revoked refuses it. Fields may be changed before Finish.
func (i *Issuer) Begin(client string) *Grant {
	now := time.Now().Truncate(time.Second)
	r := i.depositor.Reference()
	return &Grant{
		Client: "client-" + client, Family: "family-" + r.JTI(), Subject: "subject-" + client, KeyID: "key-1",
		IssuedAt: now, ExpiresAt: now.Add(30 * time.Minute), since: i.depositor.Since(), reference: r,
	}
}

// JTI is the grant's.
func (g *Grant) JTI() string { return g.reference.JTI() }

// Reference is what its client would hold.
func (g *Grant) Reference() string { return g.reference.Reveal() }

// Finish signs and deposits. The errors are those of Depositor.Deposit.
func (i *Issuer) Finish(ctx context.Context, g *Grant) error {
	token := exchange.NewToken(strings.Repeat("x", 700))
	handles := exchange.Handles{Client: g.Client, Family: g.Family, Subject: g.Subject}
	m := exchange.Manifest{
		Issuer: IssuerURL, JTI: g.JTI(), ClientID: g.Client, IssuedAt: g.IssuedAt, ExpiresAt: g.ExpiresAt, Handles: handles,
		Shares: map[string]exchange.ManifestShare{Audience: {Scopes: []string{"orders:read"}, SHA256: sha256.Sum256([]byte(token.Reveal()))}},
	}
	return i.depositor.Deposit(ctx, g.reference, exchange.Deposit{
		Manifest: Sign(i.system.t, i.system.keys.private(i.system.t, g.KeyID), g.KeyID, exchange.ManifestType, m.Claims()), Tokens: map[string]exchange.Token{Audience: token},
		IssuedAt: m.IssuedAt, ExpiresAt: m.ExpiresAt, KeyID: g.KeyID, Handles: handles, Since: g.since,
		MaxGrants: 1_000_000, MaxBytes: 1 << 40,
	})
}

// Issue is Begin and Finish.
func (i *Issuer) Issue(client string) *Grant {
	i.system.t.Helper()
	g := i.Begin(client)
	if err := i.Finish(i.system.t.Context(), g); err != nil {
		i.system.t.Fatalf("issue: %v", err)
	}
	return g
}

// Cached waits until each of edges has the grant in its cache.
func (s *System) Cached(g *Grant, edges ...*Edge) {
	s.t.Helper()
	for _, e := range edges {
		s.await("an edge has the grant in its cache", func() bool {
			_, source, err := e.Swap(s.t.Context(), g.Reference(), exchange.Leased)
			return err == nil && source == exchange.SourceHit
		})
	}
}

// keys are signing keys, made when they are first asked for. It is a verifier.KeySource.
type keys struct {
	mu   sync.Mutex // guards byID
	byID map[string]*ecdsa.PrivateKey
}

func newKeys() *keys { return &keys{byID: map[string]*ecdsa.PrivateKey{}} }

// Key implements verifier.KeySource.
func (k *keys) Key(_ context.Context, id string) (verifier.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.byID[id]
	if !ok {
		return verifier.Key{}, verifier.ErrUnknownKey
	}
	return verifier.Key{ID: id, Algorithm: "ES256", Public: key.Public()}, nil
}

func (k *keys) private(t testing.TB, id string) *ecdsa.PrivateKey {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID[id] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.byID[id] = key
	}
	return k.byID[id]
}
