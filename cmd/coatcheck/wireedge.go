package main

import (
	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/verifier"
)

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
	x.Records, x.Keys, x.Log = p.store, keys, p.follower
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
