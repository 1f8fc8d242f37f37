package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

// process is one Coatcheck, wired: what a configuration says, with what only a running process has filled in.
type process struct {
	log      *slog.Logger
	tel      *telemetry
	store    *store.Guard
	follower *revocation.Follower
	journal  *revocation.Journal // nil: another role
	audit    *audit.Log          // nil: another role, or none is kept
	ready    readiness
	edge     http.Handler                  // nil: another role
	issuer   http.Handler                  // nil: another role
	internal http.Handler                  // nil: the issuer's own listener serves it, or another role
	admin    http.Handler                  // nil: nobody may use it, or another role
	work     []func(context.Context) error // background work; each returns when its context ends
}

// wire builds every room that the role needs. It touches no dependency but the issuer's own disk: a process never exits
// because one is away.
//
// The order is that of the background work too: the store is checked first, then come the halves. The follower runs around
// all of it (Run): an issuer has to know what was revoked before it mints, an edge before it swaps.
func wire(l *configs.Loaded, log *slog.Logger, tel *telemetry) (_ *process, err error) {
	backend, err := openStore(l.Store, tel)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	p := &process{log: log, tel: tel, store: store.NewGuard(backend)}
	p.need("store", p.store.Ready)
	p.do(func(ctx context.Context) error { p.store.Run(ctx, log); return nil })
	if err = p.follow(l); err != nil {
		return nil, fmt.Errorf("build the follower of the revocation log: %w", err)
	}
	if err = p.watchKeys(l.KeyFiles); err != nil {
		return nil, fmt.Errorf("watch the key files: %w", err)
	}
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

// follow reads the revocation log, once in each process: an edge to know what it may still use, an issuer to know what
// was revoked while it minted; without a lease the one asks the store each time, and the other's new grants are refused.
// Only an edge has a name there.
func (p *process) follow(l *configs.Loaded) (err error) {
	c := l.Follower
	c.Log, c.Logger, c.Meter = p.store, p.log, p.tel.meter
	if l.Gateway != nil {
		c.Name = edgeName(l.Listen.Gateway)
	}
	if p.follower, err = revocation.NewFollower(c); err != nil {
		return err
	}
	p.need("lease", p.follower.Ready)
	return nil
}

// maxEdgeName is what the store takes for a name.
const maxEdgeName = 64

// edgeName tells operators which edge this is: the host's name and the port, of letters that the store takes.
func edgeName(listen string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "edge"
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		port = ""
	}
	host = strings.Map(func(c rune) rune {
		if base62Byte(byte(min(c, 127))) || c == '-' || c == '_' {
			return c
		}
		return '-' // points, above all
	}, host)
	return host[:min(len(host), maxEdgeName-len(port)-1)] + "-" + port
}

// need adds a condition of readiness.
func (p *process) need(name string, ready func() error) {
	p.ready.probes = append(p.ready.probes, probe{name, ready})
}

// do adds background work. It starts with Run and ends after the last request has been answered.
func (p *process) do(work func(context.Context) error) { p.work = append(p.work, work) }
