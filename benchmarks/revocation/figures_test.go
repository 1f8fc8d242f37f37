// Package revocation_test measures how soon a revocation has reached every edge, and what it costs to be told. The edges
// are the shipped follower, exchange and store over connections of their own to a real redis-server.
package revocation_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/exchange/exchangetest"
	"github.com/coatcheck/coatcheck/revocation"
)

var (
	counts = flag.String("edges", "2", "how many edges, one run for each")
	rounds = flag.Int("revocations", 3, "revocations in each run")
	rest   = flag.Duration("rest", time.Second, "how long the edges are watched at rest")
	hot    = flag.Int("hot", 20, "hot tokens on each edge at rest")
)

const lease = 500 * time.Millisecond

// afterwards is how often each edge is asked again once a revocation has been answered.
const afterwards = 20

// TestFigures prints the figures of docs/performance.md. By default it is short, and holds only what does not depend on
// the machine: once a revocation has been answered no edge lets the token through.
func TestFigures(t *testing.T) {
	for text := range strings.SplitSeq(*counts, ",") {
		edges, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("-edges %s: want numbers and commas", *counts)
		}
		t.Run(text+" edges", func(t *testing.T) {
			s := newSystem(t, edges)
			for _, kind := range []struct {
				name  string
				edges []swapper
			}{{"log", s.followers()}, {"cache with a time to live of one lease", s.ttlCaches()}} {
				s.spread(kind.name, kind.edges)
				s.atRest(kind.name, kind.edges)
			}
		})
	}
}

// system is a deployment with edges.
type system struct {
	*exchangetest.System

	t      *testing.T
	issuer *exchangetest.Issuer
	edges  []*exchangetest.Edge
}

func newSystem(t *testing.T, edges int) *system {
	t.Helper()
	s := &system{t: t}
	s.System, s.issuer = exchangetest.New(t, exchangetest.Options{Lease: lease})
	for range edges {
		s.edges = append(s.edges, s.StartEdge(nil))
	}
	return s
}

// cached issues a grant that is in the cache of every edge.
func (s *system) cached() *exchangetest.Grant {
	s.t.Helper()
	g := s.issuer.Issue("shop")
	s.Cached(g, s.edges...)
	return g
}

// swapper is an edge, or what it is compared with.
type swapper interface {
	Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error)
}

// spread measures, for each of a number of revocations, the time from the call to the last refusal on every edge, and to
// the answer.
func (s *system) spread(name string, all []swapper) {
	s.t.Helper()
	var last, answered []time.Duration
	for range *rounds {
		g := s.cached()
		raw, jti := g.Reference(), g.JTI()
		for _, x := range all {
			_, _, _ = x.Swap(s.t.Context(), raw, exchange.Leased) // what it is compared with has a cache of its own
		}
		began := time.Now()
		var wait sync.WaitGroup
		refused := make([]time.Duration, len(all))
		for i, x := range all {
			wait.Go(func() { refused[i] = s.untilRefused(x, raw, began) })
		}
		if _, err := s.issuer.Revoke(s.t.Context(), revocation.Revocation{Kind: revocation.Token, Name: jti, Until: began.Add(time.Hour).Truncate(time.Second)}); err != nil {
			s.t.Fatalf("revoke: %v", err)
		}
		answered = append(answered, time.Since(began))
		for i, x := range s.edges { // the promise is made for our edges
			for range afterwards {
				if _, _, err := x.Swap(s.t.Context(), raw, exchange.Leased); !errors.Is(err, exchange.ErrInactive) {
					s.t.Fatalf("edge %d, %v after the answer: token %s: got %v, want it refused", i, time.Since(began)-answered[len(answered)-1], jti, err)
				}
			}
		}
		wait.Wait()
		last = append(last, slices.Max(refused))
	}
	s.t.Logf("%d edges, %s: revoke to last refusal on every edge: %s; to the answer: %s", len(all), name, spreadOf(last), spreadOf(answered))
}

// untilRefused asks every half millisecond.
func (s *system) untilRefused(x swapper, raw string, began time.Time) time.Duration {
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for time.Since(began) < exchangetest.Patience {
		if _, _, err := x.Swap(s.t.Context(), raw, exchange.Leased); errors.Is(err, exchange.ErrInactive) {
			return time.Since(began)
		}
		<-tick.C
	}
	s.t.Errorf("still not refused after %v", exchangetest.Patience)
	return exchangetest.Patience
}

// atRest asks hot tokens on every edge, ten times in each lease, and counts what Redis is asked and what it costs.
func (s *system) atRest(name string, all []swapper) {
	s.t.Helper()
	var tokens []string
	for range *hot {
		tokens = append(tokens, s.cached().Reference())
	}
	s.Redis.ResetCommands()
	before, redisBefore := cpu(s.t), s.redisCPU()
	began := time.Now()
	tick := time.NewTicker(lease / 10)
	defer tick.Stop()
	for time.Since(began) < *rest {
		for _, x := range all {
			for _, raw := range tokens {
				if _, _, err := x.Swap(s.t.Context(), raw, exchange.Leased); err != nil {
					s.t.Fatalf("swap at rest: %v", err)
				}
			}
		}
		<-tick.C
	}
	took := time.Since(began)
	per := func(n float64) float64 { return n / took.Seconds() / float64(len(all)) }
	asked := s.Redis.Commands()
	s.t.Logf("%d edges with %d hot tokens, %s: %.1f scripts a second and edge; edge CPU %.2f ms/s, Redis CPU %.2f ms/s for each edge", len(all), *hot, name,
		per(float64(asked["evalsha_ro"]+asked["evalsha"])), per(ms(cpu(s.t)-before)), per(ms(s.redisCPU()-redisBefore)))
}

func (s *system) followers() []swapper {
	var all []swapper
	for _, x := range s.edges {
		all = append(all, x)
	}
	return all
}

// ttlCache is what most gateways have: an answer is used for a time, then the store is asked again.
type ttlCache struct {
	store *exchange.Exchange
	mu    sync.Mutex
	until map[string]time.Time // guarded by mu
}

func (s *system) ttlCaches() []swapper {
	var all []swapper
	for _, x := range s.edges {
		all = append(all, &ttlCache{store: x.Exchange, until: map[string]time.Time{}})
	}
	return all
}

// Swap returns no grant: only the moment at which it refuses, and what it asks, are compared.
func (c *ttlCache) Swap(ctx context.Context, raw string, _ exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.until[raw]) {
		return exchange.Pass{}, exchange.SourceHit, nil
	}
	p, source, err := c.store.Swap(ctx, raw, exchange.Strict)
	if err == nil {
		c.until[raw] = now.Add(lease)
	}
	return p, source, err
}

func spreadOf(d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[min(int(q*float64(len(d))), len(d)-1)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("median %v, p99 %v, most %v (n=%d)", at(.5), at(.99), d[len(d)-1].Round(100*time.Microsecond), len(d))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cpu is what this process, all edges and the issuer, has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s *system) redisCPU() time.Duration {
	s.t.Helper()
	var total float64
	text, _ := s.Redis.Do("INFO", "cpu").(string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatalf("INFO cpu: %q", line)
			}
			total += seconds
		}
	}
	return time.Duration(total * float64(time.Second))
}
