package issuer

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Issuing (handler function, store in memory, generated secret) is to cost at most twice its signatures, which
// BenchmarkSignatures measures alone: one per audience, and one for the manifest.

func BenchmarkIssue(b *testing.B) {
	for _, row := range benchmarks() {
		b.Run(row.name, func(b *testing.B) {
			k := newKit(b, unlimited)
			k.logger = slog.New(slog.DiscardHandler)
			handler, body := k.Handler(), strings.NewReader(row.form().Encode())
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, k.place.tokenPath(), nil)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(body)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = body.Seek(0, io.SeekStart)
				w := sink{header: http.Header{}}
				handler.ServeHTTP(&w, r)
				if w.status != http.StatusOK {
					b.Fatalf("status %d", w.status)
				}
			}
		})
	}
}

func BenchmarkSignatures(b *testing.B) {
	for _, row := range benchmarks() {
		b.Run(row.name, func(b *testing.B) {
			k := newKit(b)
			r, err := k.keeper.Current()
			if err != nil {
				b.Fatal(err)
			}
			key := r.Active()
			text := strings.Repeat("x", 700)
			b.ReportAllocs()
			for b.Loop() {
				for range row.audiences + 1 {
					if _, err := key.Sign(tokenType, []byte(text)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// sink is a ResponseWriter that costs next to nothing: what is measured is the handler.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkMint is everything between decision and deposit.
func BenchmarkMint(b *testing.B) { benchmarkMint(b) }

func benchmarkMint(b *testing.B, changes ...func(*Config)) {
	b.Helper()
	k := newKit(b, changes...)
	r, err := k.keeper.Current()
	if err != nil {
		b.Fatal(err)
	}
	c := k.register.clients.Lookup("shop")
	g := grant{
		client: c, shares: []share{{"orders-api", c.Audiences["orders-api"]}}, jti: k.depositor.Reference().JTI(),
		issuedAt: testNow, expires: testNow.Add(time.Minute),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.mint(b.Context(), r, g); err != nil {
			b.Fatal(err)
		}
	}
}

type benchmark struct {
	name      string
	audiences int
	form      func() url.Values
}

func benchmarks() []benchmark {
	return []benchmark{
		{"one audience", 1, func() url.Values { return shop() }},
		{"two audiences", 2, func() url.Values { return shop("scope", "orders:read invoices:read") }},
	}
}

// unlimited lifts the quota, which a benchmark would reach, and shortens life, so that memory does not fill.
func unlimited(c *Config) {
	shop := c.Clients["shop"]
	shop.MaxGrants, shop.MaxBytes, shop.TTL = 1<<40, 1<<50, 5*time.Second
	c.Clients["shop"] = shop
}
