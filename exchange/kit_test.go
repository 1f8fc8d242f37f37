package exchange_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/exchange/exchangetest"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

const (
	issuerURL = "https://auth.example.com"
	longest   = time.Hour
	life      = 10 * time.Minute

	// lease is what edges are told in tests under synctest; a hold, the longest that a follower accepts, is for tests in
	// real time: it is not lost however slowly they run.
	lease = 500 * time.Millisecond
	hold  = time.Minute
)

// signer is an issuer's key. Real signatures, made by hand: the library that makes them belongs to another room.
type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigner(t testing.TB, id string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{id, key}
}

func (s *signer) sign(t testing.TB, typ string, claims map[string]any) string {
	t.Helper()
	return exchangetest.Sign(t, s.key, s.id, typ, claims)
}

// keySource counts how often a signature was about to be verified, and can be made to fail or to wait.
type keySource struct {
	verifier.StaticKeys
	asked atomic.Int64
	down  atomic.Bool
	delay atomic.Int64 // of the next answer, in nanoseconds; only used under synctest
}

func (k *keySource) Key(ctx context.Context, id string) (verifier.Key, error) {
	k.asked.Add(1)
	if k.down.Load() {
		return verifier.Key{}, verifier.ErrKeysUnavailable
	}
	time.Sleep(time.Duration(k.delay.Swap(0)))
	return k.StaticKeys.Key(ctx, id)
}

// records counts what reaches the store, and can stand in for what a real one cannot be made to show.
type records struct {
	*store.Memory
	takes atomic.Int64
	// take, when set, answers instead of Memory.
	take func(ctx context.Context, jti string) (store.Taken, error)
	// planted blobs are what whoever writes the store has put in the place of a record.
	planted map[string][]byte
	failed  error               // what Take answers
	again   func([]byte) []byte // what is made of the answer of an earlier turn
}

func (r *records) Turn(ctx context.Context, t store.Turn, rec store.Record, q store.Quota) ([]byte, error) {
	kept, err := r.Memory.Turn(ctx, t, rec, q)
	if kept != nil && r.again != nil {
		kept = r.again(kept)
	}
	return kept, err
}

func (r *records) Take(ctx context.Context, jti string) (store.Taken, error) {
	r.takes.Add(1)
	if r.failed != nil {
		return store.Taken{}, r.failed
	}
	if r.take != nil {
		return r.take(ctx, jti)
	}
	if blob, ok := r.planted[jti]; ok {
		return r.answer(jti, blob), nil
	}
	return r.Memory.Take(ctx, jti)
}

// answer is one of the store as it stands now, with that blob.
func (r *records) answer(jti string, blob []byte) store.Taken {
	s, err := r.Shard(context.Background(), r.ShardOf(jti), author.Issuer)
	if err != nil {
		panic(err)
	}
	return store.Taken{Blob: bytes.Clone(blob), Seq: s.At.Seq, Incarnation: s.Incarnation, Shard: r.ShardOf(jti), Lease: s.Lease}
}

// kit is an issuer and an edge with a real store between them, and the log that both follow.
type kit struct {
	t         testing.TB
	stampKey  []byte
	stamper   *exchange.Stamper
	signer    *signer
	keys      *keySource
	records   *records
	feed      *feed
	follower  *revocation.Follower
	revoked   uint64 // number of the last revocation
	depositor *exchange.Depositor
	edge      *exchange.Exchange
}

func newKit(t testing.TB, lease time.Duration, change ...func(*exchange.Config)) *kit {
	t.Helper()
	memory := store.NewMemory()
	k := &kit{
		t: t, stampKey: randomKey(), signer: newSigner(t, "key-1"),
		records: &records{Memory: memory, planted: map[string][]byte{}}, feed: &feed{Memory: memory},
	}
	k.stamper = newStamper(t, k.stampKey)
	k.keys = &keySource{StaticKeys: verifier.StaticKeys{
		k.signer.id: {ID: k.signer.id, Algorithm: "ES256", Public: k.signer.key.Public()},
	}}
	openShards(t, memory, lease)
	k.follower = follow(t, k.feed)
	k.depositor = exchange.NewDepositor(k.stamper, k.records, k.follower)
	k.edge = k.newEdge(change...)
	return k
}

// newEdge makes one more edge on the same store.
func (k *kit) newEdge(change ...func(*exchange.Config)) *exchange.Exchange {
	k.t.Helper()
	c := exchange.Config{Issuer: issuerURL, Stamper: k.stamper, Records: k.records, Keys: k.keys, Log: k.follower}
	for _, f := range change {
		f(&c)
	}
	edge, err := exchange.New(c)
	if err != nil {
		k.t.Fatal(err)
	}
	return edge
}

func newStamper(t testing.TB, keys ...[]byte) *exchange.Stamper {
	t.Helper()
	s, err := exchange.NewStamper("cck", longest, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

// draft is a grant on its way into the store; tests bend it before it is deposited.
type draft struct {
	reference exchange.Reference
	manifest  exchange.Manifest
	tokens    map[string]exchange.Token
	since     exchange.Since
	sign      func(claims map[string]any) string
}

// draft makes a genuine one, for the audiences orders-api and billing-api.
func (k *kit) draft() *draft {
	now := time.Now().Truncate(time.Second)
	d := &draft{since: k.depositor.Since(), reference: k.depositor.Reference()}
	d.tokens = map[string]exchange.Token{
		"orders-api":  exchange.NewToken(fakeJWT("orders")),
		"billing-api": exchange.NewToken(fakeJWT("billing")),
	}
	d.manifest = exchange.Manifest{
		Issuer:    issuerURL,
		JTI:       d.reference.JTI(),
		ClientID:  "partner-shop",
		Handles:   exchange.Handles{Client: "clienthandle", Family: "familyhandle", Subject: "subjecthandle"},
		IssuedAt:  now,
		ExpiresAt: now.Add(life),
		Shares: map[string]exchange.ManifestShare{
			"orders-api":  share(d.tokens["orders-api"], "orders:read", "orders:write"),
			"billing-api": share(d.tokens["billing-api"], "invoices:read"),
		},
	}
	d.sign = func(claims map[string]any) string { return k.signer.sign(k.t, exchange.ManifestType, claims) }
	return d
}

func share(t exchange.Token, scopes ...string) exchange.ManifestShare {
	return exchange.ManifestShare{Scopes: scopes, SHA256: sha256.Sum256([]byte(t.Reveal()))}
}

// fakeJWT is random text of the size and alphabet of a JWT: the exchange never looks inside one.
func fakeJWT(name string) string {
	var b strings.Builder
	b.WriteString(base64.RawURLEncoding.EncodeToString([]byte(`{"for":"` + name + `"}`)))
	for b.Len() < 700 {
		b.WriteString(rand.Text())
	}
	return b.String()[:700]
}

func (d *draft) deposit() exchange.Deposit {
	return exchange.Deposit{
		Manifest:  d.sign(d.manifest.Claims()),
		Tokens:    maps.Clone(d.tokens),
		IssuedAt:  d.manifest.IssuedAt,
		ExpiresAt: d.manifest.ExpiresAt,
		KeyID:     "key-1",
		Handles:   d.manifest.Handles,
		Since:     d.since,
	}
}

// issue deposits a genuine grant and returns it with what the client would hold.
func (k *kit) issue() (*draft, string) {
	k.t.Helper()
	return k.issueAs(exchange.Handles{Client: "clienthandle", Family: "familyhandle", Subject: "subjecthandle"})
}

func (k *kit) issueAs(h exchange.Handles) (*draft, string) {
	k.t.Helper()
	d := k.draft()
	d.manifest.Handles = h
	if err := k.depositor.Deposit(context.Background(), d.reference, d.deposit()); err != nil {
		k.t.Fatalf("deposit: %v", err)
	}
	return d, d.reference.Reveal()
}

// swap expects the reference to be live.
func (k *kit) swap(raw string, want exchange.Source) *exchange.Grant {
	k.t.Helper()
	return k.pass(raw, exchange.Leased, want).Grant()
}

func (k *kit) pass(raw string, f exchange.Freshness, want exchange.Source) *exchange.Pass {
	k.t.Helper()
	p, source, err := k.edge.Swap(context.Background(), raw, f)
	if err != nil || source != want {
		k.t.Fatalf("Swap: source %q, error %v; want %q and a grant", source, err, want)
	}
	return &p
}

// decide expects the request to be let through.
func (k *kit) decide(p *exchange.Pass) time.Duration {
	k.t.Helper()
	good, err := p.Decide(context.Background())
	if err != nil || good <= 0 {
		k.t.Fatalf("Decide: good for %v, error %v; want more than 0, and none", good, err)
	}
	return good
}

// refused expects a refusal for that reason.
func (k *kit) refused(raw string, want exchange.Reason) exchange.Source {
	k.t.Helper()
	_, source, err := k.edge.Swap(context.Background(), raw, exchange.Leased)
	k.isRefusal(err, want)
	return source
}

// undecided expects the decision to be a refusal for that reason.
func (k *kit) undecided(p *exchange.Pass, want exchange.Reason) {
	k.t.Helper()
	good, err := p.Decide(context.Background())
	if good != 0 {
		k.t.Fatalf("Decide: good for %v with error %v", good, err)
	}
	k.isRefusal(err, want)
}

func (k *kit) isRefusal(err error, want exchange.Reason) {
	k.t.Helper()
	var r *exchange.Refusal
	if !errors.As(err, &r) || r.Reason != want {
		k.t.Fatalf("error %v; want a refusal that is %q", err, want)
	}
	inactive := want != exchange.ReasonUnavailable && want != exchange.ReasonClosed
	if errors.Is(err, exchange.ErrInactive) != inactive || errors.Is(err, exchange.ErrUnavailable) == inactive {
		k.t.Fatalf("refusal %v is not exactly one of ErrInactive and ErrUnavailable", err)
	}
}
