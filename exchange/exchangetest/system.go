// Package exchangetest is a whole deployment in one process, without HTTP: a real redis-server, issuers that mint and
// revoke, and edges that swap, each with connections of its own. For tests of what issuers and edges do together.
package exchangetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// IssuerURL is the `iss` of everything, Audience whose JWT each grant has.
const (
	IssuerURL = "https://auth.example.com"
	Audience  = "orders-api"
)

// Patience is how long the kit waits for anything before the test fails.
const Patience = 30 * time.Second

// Options of a System. The zero value is one issuer on one shard.
type Options struct {
	Shards  int           // default 1
	Lease   time.Duration // default 500 ms
	Issuers []string      // names of all; default issuer-1. New starts the first
	Missing time.Duration // default 30 s
}

// System is a deployment.
type System struct {
	Redis *storetest.Redis

	t       testing.TB
	options Options
	stamper *exchange.Stamper
	keys    *keys
}

// New starts a Redis and the first issuer.
func New(t testing.TB, o Options) (*System, *Issuer) {
	t.Helper()
	o.Shards = cmp.Or(o.Shards, 1)
	if len(o.Issuers) == 0 {
		o.Issuers = []string{"issuer-1"}
	}
	s := &System{Redis: storetest.StartRedis(t), t: t, options: o, keys: newKeys()}
	stamp := make([]byte, 32)
	rand.Read(stamp) // never fails
	var err error
	if s.stamper, err = exchange.NewStamper("cck", time.Hour, stamp); err != nil {
		t.Fatal(err)
	}
	return s, s.StartIssuer(o.Issuers[0])
}

// Issuer mints and revokes.
type Issuer struct {
	*revocation.Revoker

	system    *System
	depositor *exchange.Depositor
}

// StartIssuer starts one of Options.Issuers, with a journal of its own, and waits until it has opened the store.
func (s *System) StartIssuer(name string) *Issuer {
	s.t.Helper()
	db, log := s.connect(nil)
	journal, err := revocation.OpenJournal(filepath.Join(s.t.TempDir(), name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = journal.Close() }) // after Run has ended: cleanups run in reverse
	r, err := revocation.NewRevoker(revocation.RevokerConfig{
		Shards: db, Journal: journal, Issuer: name, Issuers: s.options.Issuers, Lease: s.options.Lease, Missing: s.options.Missing,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(r.Run)
	s.await("issuer "+name+" is ready", func() bool { return r.Ready() == nil && log.Ready() == nil })
	return &Issuer{Revoker: r, system: s, depositor: exchange.NewDepositor(s.stamper, db, log)}
}

// Edge swaps.
type Edge struct {
	*exchange.Exchange

	log *revocation.Follower
}

// StartEdge starts an edge and waits until it has a lease. way, if not nil, stands between its follower and the store.
func (s *System) StartEdge(way func(revocation.Log) revocation.Log) *Edge {
	s.t.Helper()
	db, log := s.connect(way)
	x, err := exchange.New(exchange.Config{Issuer: IssuerURL, Stamper: s.stamper, Records: db, Log: log, Keys: s.keys})
	if err != nil {
		s.t.Fatal(err)
	}
	e := &Edge{x, log}
	s.await("an edge has a lease", e.HasLease)
	return e
}

// HasLease reports whether the edge may use its cache now.
func (e *Edge) HasLease() bool { return e.log.Ready() == nil }

// connect is one process's way to the store.
func (s *System) connect(way func(revocation.Log) revocation.Log) (*store.Redis, *revocation.Follower) {
	s.t.Helper()
	db, err := store.NewRedis(store.RedisConfig{Addr: s.Redis.Addr, Timeout: 2 * time.Second, Shards: s.options.Shards})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	var from revocation.Log = db
	if way != nil {
		from = way(db)
	}
	log, err := revocation.NewFollower(revocation.FollowerConfig{Log: from})
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(log.Run)
	return db, log
}

// run runs background work until the test ends.
func (s *System) run(work func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := work(ctx); err != nil {
			s.t.Errorf("background work: %v", err)
		}
	})
	s.t.Cleanup(func() { stop(); done.Wait() })
}

func (s *System) await(what string, so func() bool) {
	s.t.Helper()
	storetest.Eventually(s.t, Patience, what, so)
}
