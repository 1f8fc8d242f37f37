package gateway_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coatcheck/coatcheck/gateway"
)

func newDecision(t testing.TB, change ...func(*gateway.Config)) (*gateway.Decision, string) {
	t.Helper()
	h := newHouse(t, change...)
	d, err := gateway.NewDecision(h.edge, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/17?x=1", nil))
	if err != nil {
		t.Fatal(err)
	}
	return d, "Bearer " + h.full().reference
}

// Route match, parsing, tag, cache, policy and counting allocate nothing when the cache has the answer.
func TestDecisionHitAllocatesNothing(t *testing.T) {
	d, authorization := newDecision(t, func(c *gateway.Config) { c.PerClient = 1e9 })
	if got := testing.AllocsPerRun(1000, func() {
		if !d.Decide(t.Context(), authorization) {
			t.Fatal("a live reference is refused")
		}
		d.Record()
	}); got > 0 {
		t.Errorf("a decision on a cache hit allocates %v times, want 0", got)
	}
}

func BenchmarkDecisionHit(b *testing.B) {
	d, authorization := newDecision(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if !d.Decide(ctx, authorization) {
			b.Fatal("a live reference is refused")
		}
	}
}

// BenchmarkEdge is a whole request over loopback, client and upstream included: for comparing one commit with
// another, not with other systems.
func BenchmarkEdge(b *testing.B) {
	h := newHouse(b, func(c *gateway.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, h.server.URL+"/docs/1", nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, path := range map[string]string{"public": "/docs/1", "swap": "/orders/1"} {
		b.Run(name, func(b *testing.B) {
			r.URL.Path = path
			r.Header.Set("Authorization", "Bearer "+h.full().reference)
			b.ReportAllocs()
			for b.Loop() {
				res, err := h.server.Client().Do(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != 200 {
					b.Fatalf("status %d", res.StatusCode)
				}
			}
		})
	}
}
