package issuer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// system is a kit with the real revoker, and edges that keep what they have seen for as long as they may.
type system struct {
	*kit
	edges []*exchange.Exchange
}

const testLease = 500 * time.Millisecond

// newSystem is for synctest.
func newSystem(t *testing.T, changes ...func(*Config)) *system {
	t.Helper()
	memory := store.NewShardedMemory(2)
	background := func(run func(context.Context) error) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	journal := revocation.NewVolatileJournal()
	revoker, err := revocation.NewRevoker(revocation.RevokerConfig{
		Shards: memory, Journal: journal, Issuer: "issuer-9", Issuers: []string{"issuer-9"}, Lease: testLease,
	})
	if err != nil {
		t.Fatal(err)
	}
	background(revoker.Run)
	time.Sleep(time.Second)
	s := &system{kit: buildKit(t, memory, append(changes, func(c *Config) { c.Revoker = revoker })...)}
	s.start(t)
	s.follow(t)
	for n := range 3 {
		f, err := revocation.NewFollower(revocation.FollowerConfig{Log: memory, Name: fmt.Sprintf("edge-%d", n)})
		if err != nil {
			t.Fatal(err)
		}
		background(f.Run)
		x, err := exchange.New(exchange.Config{Issuer: testIssuer, Stamper: s.stamper, Records: memory, Keys: s.Keys(), Log: f})
		if err != nil {
			t.Fatal(err)
		}
		s.edges = append(s.edges, x)
	}
	time.Sleep(2 * time.Second)
	if err := errors.Join(revoker.Ready(), s.Ready()); err != nil {
		t.Fatal(err)
	}
	return s
}

// accepted is how many edges let a reference through.
func (s *system) accepted(t *testing.T, reference string) (n int) {
	t.Helper()
	for _, x := range s.edges {
		p, _, err := x.Swap(t.Context(), reference, exchange.Leased)
		if err == nil {
			_, err = p.Decide(t.Context())
		}
		if err == nil {
			n++
		}
	}
	return n
}

// R5: right after the 200 no edge accepts the token, though each had it in its cache; and other tokens go on.
func TestR5_AfterTheAnswerNoEdgeAccepts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for name, presented := range map[string]func(reference string) string{
			"reference": func(r string) string { return r },
			"JWT":       func(r string) string { return s.jwt(t, r, "orders-api") },
		} {
			token, other := s.token(t, shop()).AccessToken, s.token(t, shop()).AccessToken
			if got := s.accepted(t, token) + s.accepted(t, other); got != 6 {
				t.Fatalf("before: accepted %d times by 3 edges, want both by all", got)
			}
			form := revocationOf(presented(token))
			began := time.Now()
			w := s.postRevoke(t, form, nil)
			took := time.Since(began)
			wantRevoked(t, name, w)
			if got := s.accepted(t, token); got != 0 {
				t.Errorf("%s: after the answer %d edges accept it", name, got)
			}
			if got := s.accepted(t, other); got != 3 {
				t.Errorf("%s: after the answer %d edges accept another token, want all 3", name, got)
			}
			if took < testLease || took > testLease+100*time.Millisecond {
				t.Errorf("%s: answered after %v, want a lease (%v) and at most 100 ms", name, took, testLease)
			}
			if _, _, err := s.edge.Swap(t.Context(), token, exchange.Strict); !errors.Is(err, exchange.ErrInactive) {
				t.Errorf("%s: at the issuer: %v, want %v", name, err, exchange.ErrInactive)
			}
		}
	})
}

// R9: nobody can tell a live token from a dead one by the time of the answer.
func TestR9_LiveAndDeadTakeTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		live, jwt := s.token(t, shop()).AccessToken, s.jwt(t, s.token(t, shop()).AccessToken, "orders-api")
		times := map[time.Duration]string{}
		for name, token := range map[string]string{
			"live": live, "a live JWT": jwt, "unknown": s.stamper.New().Reveal(), "malformed": "x", "a broken JWT": jwt[:len(jwt)-4] + "AAAA",
		} {
			began := time.Now()
			wantRevoked(t, name, s.postRevoke(t, revocationOf(token), nil))
			times[time.Since(began)] = name
		}
		if len(times) != 1 {
			t.Errorf("answers took %v, want one time for all", times)
		}
	})
}

// Each kind that an operator names ends what edges have in their caches, within the same time.
func TestOrdersHoldOnEveryEdge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for _, by := range []string{"jti", "client", "family", "subject", "issued_before", "key"} {
			time.Sleep(time.Second) // the followers read what was revoked last
			token := s.token(t, shop()).AccessToken
			if got := s.accepted(t, token); got != 3 {
				t.Fatalf("%s: before: accepted by %d edges", by, got)
			}
			g := s.inspect(t, s.jti(t, token))
			value := map[string]string{
				"jti": g.JTI, "client": "shop", "family": g.JTI, "subject": "client:shop", "issued_before": "now", "key": g.KeyID,
			}[by]
			began := time.Now()
			a := s.order(t, `{"`+by+`":"`+value+`"}`)
			if took := time.Since(began); took > testLease+100*time.Millisecond {
				t.Errorf("%s: answered after %v", by, took)
			}
			if got := s.accepted(t, token); got != 0 {
				t.Errorf("%s: after the answer %d edges accept it", by, got)
			}
			if len(a.Edges) != 3 || !*a.Edges[0].Past || !*a.Edges[1].Past || !*a.Edges[2].Past {
				t.Errorf("%s: edges %+v, want all three past it", by, a.Edges)
			}
			if a.Found != 1 && by == "jti" {
				t.Errorf("%s: found %d, want 1", by, a.Found)
			}
		}
	})
}
