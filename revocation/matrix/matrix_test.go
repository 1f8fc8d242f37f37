// Package matrix_test holds every kind of revocation against every condition in which an edge, an issuer or the store may
// be: no cell lets a revoked token through. It runs on a real redis-server, with four shards.
package matrix_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/exchange/exchangetest"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// kinds says how each kind names a grant.
var kinds = map[revocation.Kind]func(g *exchangetest.Grant) string{
	revocation.Token:   func(g *exchangetest.Grant) string { return g.JTI() },
	revocation.Family:  func(g *exchangetest.Grant) string { return g.Family },
	revocation.Client:  func(g *exchangetest.Grant) string { return g.Client },
	revocation.Subject: func(g *exchangetest.Grant) string { return g.Subject },
	revocation.Before:  func(*exchangetest.Grant) string { return strconv.FormatInt(time.Now().Unix(), 10) },
	revocation.Key:     func(g *exchangetest.Grant) string { return g.KeyID },
}

// conditions are the columns. One more, that the key has changed which makes the handles, is the issuer's alone, for here
// handles are given: TestNamesDoNotDependOnRingOrOrderOfKeys.
var conditions = map[string]func(c *cell){
	"hit":                   (*cell).hit,
	"miss":                  (*cell).miss,
	"strict":                (*cell).strict,
	"no lease":              (*cell).noLease,
	"cold edge":             (*cell).coldEdge,
	"memory full":           (*cell).memoryFull,
	"a shard closed":        (*cell).shardClosed,
	"clock of issuer + 2 s": (*cell).clockAhead,
	"mint in flight":        (*cell).mintInFlight,
}

// cell is one kind under one condition, in a deployment of its own.
type cell struct {
	*exchangetest.System

	t      *testing.T
	kind   revocation.Kind
	issuer *exchangetest.Issuer
	edge   *exchangetest.Edge
	cut    *atomic.Bool // the edge's follower hears nothing
}

func TestMatrix(t *testing.T) {
	for kind := range kinds {
		for name, condition := range conditions {
			t.Run(fmt.Sprintf("%s, %s", kind, name), func(t *testing.T) {
				t.Parallel()
				c := newCell(t, kind)
				condition(c)
			})
		}
	}
}

func newCell(t *testing.T, kind revocation.Kind) *cell {
	t.Helper()
	c := &cell{t: t, kind: kind, cut: new(atomic.Bool)}
	// The second issuer is not there, so that a shard that is closed stays closed.
	c.System, c.issuer = exchangetest.New(t, exchangetest.Options{
		Shards: 4, Lease: 200 * time.Millisecond, Issuers: []string{"issuer-1", "issuer-2"}, Missing: time.Hour,
	})
	c.edge = c.StartEdge(func(l revocation.Log) revocation.Log { return &deaf{l, c.cut} })
	return c
}

// deaf is a log from which nothing comes while it is cut; the store itself answers.
type deaf struct {
	revocation.Log
	cut *atomic.Bool
}

func (d *deaf) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	if !d.cut.Load() {
		return d.Log.Pull(ctx, after, seen)
	}
	return slices.Repeat([]store.Pulled{{Err: store.ErrUnavailable}}, len(after))
}

// revoke ends g, and expects the answer that it holds.
func (c *cell) revoke(g *exchangetest.Grant) {
	c.t.Helper()
	if err := c.tryRevoke(g); err != nil {
		c.t.Fatalf("revoke: %v", err)
	}
}

func (c *cell) tryRevoke(g *exchangetest.Grant) error {
	_, err := c.issuer.Revoke(c.t.Context(), revocation.Revocation{
		Kind: c.kind, Name: kinds[c.kind](g), Until: time.Now().Add(time.Hour).Truncate(time.Second),
	})
	return err
}

// alive expects that an edge lets g through; without that, that it is refused later would show nothing.
func (c *cell) alive(e *exchangetest.Edge, g *exchangetest.Grant, f exchange.Freshness) {
	c.t.Helper()
	if err := swap(c.t, e, g, f); err != nil {
		c.t.Fatalf("before the revocation: %v", err)
	}
}

// over expects that an edge refuses g, in every way of asking, now and in a while.
func (c *cell) over(e *exchangetest.Edge, g *exchangetest.Grant) {
	c.t.Helper()
	for range 5 {
		for _, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
			if err := swap(c.t, e, g, f); err == nil {
				c.t.Errorf("after the answer: token %s is let through (strict: %v)", g.JTI(), f)
			} else if !errors.Is(err, exchange.ErrInactive) {
				c.t.Errorf("after the answer: got %v, want it inactive", err)
			}
		}
		time.Sleep(20 * time.Millisecond) // no waiting for anything: a late decision has the time to show itself
	}
}

// bystander is a grant that has nothing to do with what is revoked. Its key is another one too.
func (c *cell) bystander() *exchangetest.Grant {
	c.t.Helper()
	g := c.issuer.Begin("bystander")
	g.KeyID = "key-2"
	if err := c.issuer.Finish(c.t.Context(), g); err != nil {
		c.t.Fatal(err)
	}
	return g
}

// spared expects that it lives on, unless everything was to end.
func (c *cell) spared(g *exchangetest.Grant) {
	c.t.Helper()
	err := swap(c.t, c.edge, g, exchange.Leased)
	if c.kind == revocation.Before {
		if !errors.Is(err, exchange.ErrInactive) {
			c.t.Errorf("everything was to end, and a bystander got %v", err)
		}
	} else if err != nil {
		c.t.Errorf("a bystander got %v", err)
	}
}

// swap swaps and decides.
func swap(t *testing.T, e *exchangetest.Edge, g *exchangetest.Grant, f exchange.Freshness) error {
	t.Helper()
	p, _, err := e.Swap(t.Context(), g.Reference(), f)
	if err == nil {
		_, err = p.Decide(t.Context())
	}
	return err
}

func (c *cell) hit() {
	g, other := c.issuer.Issue("shop"), c.bystander()
	c.Cached(g, c.edge)
	c.Cached(other, c.edge)
	c.revoke(g)
	c.over(c.edge, g)
	c.spared(other)
}

func (c *cell) miss() {
	g, other := c.issuer.Issue("shop"), c.bystander()
	c.revoke(g)
	c.over(c.edge, g)
	c.spared(other)
}

func (c *cell) strict() {
	g := c.issuer.Issue("shop")
	c.alive(c.edge, g, exchange.Strict)
	c.revoke(g)
	c.over(c.edge, g)
}

// noLease: the edge hears nothing of the log, but the store answers it.
func (c *cell) noLease() {
	g, other := c.issuer.Issue("shop"), c.bystander()
	c.Cached(g, c.edge)
	c.cut.Store(true)
	storetest.Eventually(c.t, exchangetest.Patience, "the edge has lost its lease", func() bool { return !c.edge.HasLease() })
	c.alive(c.edge, g, exchange.Leased)
	c.revoke(g)
	c.over(c.edge, g)
	c.spared(other)
}

// coldEdge: an edge that begins after the answer.
func (c *cell) coldEdge() {
	g := c.issuer.Issue("shop")
	c.alive(c.edge, g, exchange.Leased)
	c.revoke(g)
	c.over(c.StartEdge(nil), g)
}

func (c *cell) memoryFull() {
	g, other := c.issuer.Issue("shop"), c.bystander()
	c.Cached(g, c.edge)
	c.Redis.Do("CONFIG", "SET", "maxmemory", "1mb")
	if err := c.issuer.Finish(c.t.Context(), c.issuer.Begin("shop")); !errors.Is(err, exchange.ErrUnavailable) {
		c.t.Fatalf("a mint: got %v; memory is not full, so this would show nothing", err)
	}
	c.revoke(g)
	c.over(c.edge, g)
	c.spared(other)
}

// shardClosed: one shard does not answer for itself. What is on another one can be ended; what would have to be ended on
// all of them is not said to be, until the shard is back.
func (c *cell) shardClosed() {
	here, there := c.oneOnEach(0, 1)
	c.Cached(here, c.edge)
	c.Cached(there, c.edge)
	c.Redis.Do("HSET", "coatcheck:{1}:head", "opened", "another")
	storetest.Eventually(c.t, exchangetest.Patience, "the edge cannot tell what is on the closed shard", func() bool {
		return errors.Is(swap(c.t, c.edge, there, exchange.Leased), exchange.ErrUnavailable)
	})
	err := c.tryRevoke(here)
	if c.kind == revocation.Token {
		if err != nil {
			c.t.Errorf("a token of an open shard: %v", err)
		}
		c.over(c.edge, here)
		return
	}
	if !errors.Is(err, revocation.ErrNotDurable) {
		c.t.Errorf("with a shard closed: got %v, want that it is not in force yet", err)
	}
	c.StartIssuer("issuer-2") // now both can vouch, and the shard is opened
	c.revoke(here)
	c.over(c.edge, here)
	if c.kind != revocation.Family { // a family has one grant here
		c.over(c.edge, there)
	}
}

// oneOnEach issues grants of one client until there is one on each of two shards.
func (c *cell) oneOnEach(a, b int) (onA, onB *exchangetest.Grant) {
	c.t.Helper()
	for range 1000 {
		g := c.issuer.Issue("shop")
		switch {
		case c.holds(a, g):
			onA = g
		case c.holds(b, g):
			onB = g
		}
		if onA != nil && onB != nil {
			return onA, onB
		}
	}
	c.t.Fatalf("no grants on shards %d and %d", a, b)
	return nil, nil
}

func (c *cell) holds(shard int, g *exchangetest.Grant) bool {
	n, ok := c.Redis.Do("EXISTS", fmt.Sprintf("coatcheck:{%d}:record:%s", shard, g.JTI())).(int64)
	return ok && n == 1
}

// clockAhead: the grant was issued in the future, by the clock of everybody else.
func (c *cell) clockAhead() {
	g := c.issuer.Begin("shop")
	g.IssuedAt = g.IssuedAt.Add(2 * time.Second)
	if err := c.issuer.Finish(c.t.Context(), g); err != nil {
		c.t.Fatal(err)
	}
	c.alive(c.edge, g, exchange.Leased)
	c.revoke(g)
	c.over(c.edge, g)
}

// mintInFlight: the issuer has looked at everything, and has not deposited yet.
func (c *cell) mintInFlight() {
	g := c.issuer.Begin("shop")
	c.revoke(g)
	if err := c.issuer.Finish(c.t.Context(), g); !errors.Is(err, exchange.ErrRevoked) {
		c.t.Errorf("deposit of what was revoked while it was minted: got %v, want %v", err, exchange.ErrRevoked)
	}
	c.over(c.edge, g)
}
