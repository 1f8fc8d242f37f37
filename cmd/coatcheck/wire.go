package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

// process is one Coatcheck, wired: what a configuration says, with what only a running process has filled in.
type process struct {
	log    *slog.Logger
	tel    *telemetry
	store  *store.Guard
	ready  readiness
	edge   http.Handler                  // nil: another role
	issuer http.Handler                  // nil: another role
	work   []func(context.Context) error // background work; each returns when its context ends
}

// wire builds every room that the role needs. It touches no dependency: a process never exits because one is away.
func wire(l *configs.Loaded, log *slog.Logger, tel *telemetry) (*process, error) {
	backend, err := openStore(l.Store, tel)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	p := &process{log: log, tel: tel, store: store.NewGuard(backend)}
	p.need("store", p.store.Ready)
	p.do(func(ctx context.Context) error { p.store.Run(ctx, log); return nil })
	var minted verifier.KeySource
	if l.Issuer != nil {
		if minted, err = p.wireIssuer(l); err != nil {
			return nil, fmt.Errorf("build the issuer: %w", err)
		}
	}
	if l.Gateway != nil {
		if err = p.wireEdge(l, minted); err != nil {
			return nil, fmt.Errorf("build the edge: %w", err)
		}
	}
	return p, nil
}

// openStore builds the store's client; it does not connect.
func openStore(c configs.StoreChoice, tel *telemetry) (store.Backend, error) {
	if c.Memory {
		return store.NewMemory(), nil
	}
	redis := c.Redis
	redis.Meter = tel.meter
	return store.NewRedis(redis)
}

// wireIssuer builds the issuer and returns its published keys, for an edge in the same process.
func (p *process) wireIssuer(l *configs.Loaded) (verifier.KeySource, error) {
	c := *l.Issuer // a copy: what was loaded stays as it was loaded
	c.State = p.store
	c.Depositor = exchange.NewDepositor(l.Stamper, p.store, nil)
	c.Logger, c.Meter, c.Tracer = p.log, p.tel.meter, p.tel.issuer
	i, err := issuer.New(c)
	if err != nil {
		return nil, err
	}
	p.issuer = i.Handler()
	p.need("issuer", i.Ready)
	p.do(i.Run)
	return i.Keys(), nil
}

// wireEdge takes the public keys from a file when there is one, else from the issuer in this process, else over HTTP.
func (p *process) wireEdge(l *configs.Loaded, minted verifier.KeySource) error {
	keys := l.Keys
	if keys == nil {
		keys = minted
	}
	if keys == nil {
		fetched, err := p.fetchKeys(l.JWKS)
		if err != nil {
			return err
		}
		keys = fetched
	}
	x := *l.Exchange
	x.Records, x.Keys = p.store, keys
	x.Logger, x.Meter = p.log, p.tel.meter
	swap, err := exchange.New(x)
	if err != nil {
		return err
	}
	g := *l.Gateway
	g.Swapper = swap
	g.Logger, g.Meter, g.Tracer = p.log, p.tel.meter, p.tel.edge
	g.TraceSample = l.Telemetry.Sample
	edge, err := gateway.New(g)
	if err != nil {
		return err
	}
	p.edge = edge
	p.do(edge.Run)
	return nil
}

// need adds a condition of readiness.
func (p *process) need(name string, ready func() error) {
	p.ready.probes = append(p.ready.probes, probe{name, ready})
}

// do adds background work. It starts with Run and ends after the last request has been answered.
func (p *process) do(work func(context.Context) error) { p.work = append(p.work, work) }
