package simulation_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
)

const (
	issuerURL = "https://auth.example.com"
	life      = 10 * time.Minute
	lease     = 200 * time.Millisecond // at first
)

// jitter is chance for the code that asks for it.
func (h *host) jitter(d time.Duration) time.Duration {
	return time.Duration(h.w.dice.of(h.name + " jitter").Int64N(int64(d)))
}

// edge is a host with an edge on it, which is a new one after each crash.
type edge struct {
	*host
	mu      sync.Mutex
	running *runningEdge // guarded by mu
}

type runningEdge struct {
	ctx      context.Context
	stop     context.CancelFunc
	exchange *exchange.Exchange
}

func (e *edge) start() {
	ctx, stop := context.WithCancel(context.Background())
	follower := e.follow(ctx, e.name)
	x, err := exchange.New(exchange.Config{
		Issuer: issuerURL, Stamper: e.w.stamper, Records: e.host, Keys: e.w.mint.keys, CacheBytes: 1 << 20, Log: follower,
	})
	if err != nil {
		panic(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = &runningEdge{ctx, stop, x}
}

// follow runs a follower on this host.
func (h *host) follow(ctx context.Context, name string) *revocation.Follower {
	f, err := revocation.NewFollower(revocation.FollowerConfig{Log: h, Name: name, Jitter: h.jitter})
	if err != nil {
		panic(err)
	}
	h.w.running.Go(func() { _ = f.Run(ctx) })
	return f
}

func (e *edge) process() *runningEdge {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running
}

// request is one request at the edge: it waits for its way to the upstream, and is decided then.
func (e *edge) request(t *token, r *mathrand.Rand) {
	p := e.process()
	e.paused.wait(r)
	fresh := exchange.Leased
	if chance(r, 0.2) {
		fresh = exchange.Strict
	}
	e.w.history.tried(t)
	pass, source, err := p.exchange.Swap(p.ctx, t.raw, fresh)
	if err != nil {
		return
	}
	if chance(r, 0.3) {
		time.Sleep(between(r, 0, 2*lease))
		e.paused.wait(r)
	}
	good, err := pass.Decide(p.ctx)
	if err == nil && p.ctx.Err() == nil {
		e.w.history.decide(t, e.name, string(source), good)
	}
}

// issuer is a host with an issuer on it, and a disk.
type issuer struct {
	*host
	journal string        // path
	lost    time.Duration // when the journal was lost last
	mu      sync.Mutex
	running *runningIssuer // guarded by mu; nil: it is down
}

type runningIssuer struct {
	ctx       context.Context
	stop      context.CancelFunc
	over      chan struct{}
	journal   *revocation.Journal
	revoker   *revocation.Revoker
	depositor *exchange.Depositor
}

func (i *issuer) start() {
	j, err := revocation.OpenJournal(i.journal)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r, err := revocation.NewRevoker(revocation.RevokerConfig{
		Shards: i.host, Journal: j, Issuer: i.name, Issuers: []string{"issuer-a", "issuer-b"},
		Lease: time.Duration(i.w.lease.Load()), Missing: i.w.missing, Jitter: i.jitter,
	})
	if err != nil {
		panic(err)
	}
	p := &runningIssuer{ctx, stop, make(chan struct{}), j, r, exchange.NewDepositor(i.w.stamper, i.host, i.follow(ctx, ""))}
	i.w.running.Go(func() {
		defer close(p.over)
		_ = r.Run(ctx)
		_ = j.Close()
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running = p
	i.w.history.tell("%s starts", i.name)
}

// crash ends the process; what its journal has fsynced stays, unless the disk is lost.
func (i *issuer) crash(lost bool) {
	i.mu.Lock()
	p := i.running
	i.running = nil
	i.mu.Unlock()
	if p == nil {
		return
	}
	i.w.history.tell("%s crashes, its journal is lost: %v", i.name, lost)
	p.stop()
	<-p.over
	if lost {
		i.lost = i.w.history.now()
		if err := errors.Join(os.Remove(i.journal), os.Remove(i.journal+".lock")); err != nil && !errors.Is(err, os.ErrNotExist) {
			panic(err)
		}
	}
}

func (i *issuer) process() *runningIssuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.running
}

// mintOne mints a token with these names, or fails. think is how long the issuer takes between looking at what the grant
// rests on and putting it.
func (i *issuer) mintOne(t *token, r *mathrand.Rand, think time.Duration) error {
	p := i.process()
	if p == nil {
		return errors.New("down")
	}
	i.paused.wait(r)
	d := p.depositor
	t.begun, t.issued = i.w.history.now(), time.Now().Truncate(time.Second)
	since := d.Since()
	reference := d.Reference()
	for want := r.IntN(i.w.shards); i.w.shardOf(reference.JTI()) != want; { // so that a seed decides it
		reference = d.Reference()
	}
	t.jti, t.raw, t.shard = reference.JTI(), reference.Reveal(), i.w.shardOf(reference.JTI())
	i.w.history.add(t)
	time.Sleep(think)
	manifest, tokens := i.w.mint.sign(t)
	err := d.Deposit(p.ctx, reference, exchange.Deposit{
		Manifest: manifest, Tokens: tokens, IssuedAt: t.issued, ExpiresAt: t.issued.Add(life), KeyID: t.kid,
		Handles: exchange.Handles{Client: t.client, Family: t.family, Subject: t.subject}, Since: since,
	})
	if err == nil {
		i.w.history.minted(t)
	}
	return err
}

// revoke asks this issuer to revoke, and is answered or not.
func (i *issuer) revoke(r *mathrand.Rand, rs ...revocation.Revocation) bool {
	p := i.process()
	if p == nil {
		return false
	}
	i.paused.wait(r)
	var calls []*revoked
	for _, one := range rs {
		calls = append(calls, i.w.history.call(one, i.name))
	}
	if _, err := p.revoker.Revoke(p.ctx, rs...); err != nil || p.ctx.Err() != nil {
		return false
	}
	for _, c := range calls {
		i.w.history.answer(c)
	}
	return true
}

// share is what the manifest says of a token.
func share(t exchange.Token) exchange.ManifestShare {
	return exchange.ManifestShare{Scopes: []string{"orders:read"}, SHA256: sha256.Sum256([]byte(t.Reveal()))}
}

func newStamper() *exchange.Stamper {
	key := make([]byte, 32)
	rand.Read(key)
	s, err := exchange.NewStamper("cck", time.Hour, key)
	if err != nil {
		panic(fmt.Sprint("stamper: ", err))
	}
	return s
}
