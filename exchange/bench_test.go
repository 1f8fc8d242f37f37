package exchange_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// decide is what the edge does with a swap: the policy of the route, and the decision, on every request.
func decide(b testing.TB, x *exchange.Exchange, raw string, scopes []string) {
	p, _, err := x.Swap(context.Background(), raw, exchange.Leased)
	if err != nil {
		b.Fatal(err)
	}
	s, ok := p.Grant().Share("orders-api")
	if !ok || !s.Allows(scopes) || s.Authorization() == "" {
		b.Fatal("not allowed")
	}
	if _, err := p.Decide(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func TestSwapHitAllocatesNothing(t *testing.T) {
	k := newKit(t, hold)
	_, raw := k.issue()
	scopes := []string{"orders:read", "orders:write"}
	decide(t, k.edge, raw, scopes)
	if n := testing.AllocsPerRun(1000, func() { decide(t, k.edge, raw, scopes) }); n != 0 {
		t.Errorf("%v allocations on a hit, want none", n)
	}
}

func BenchmarkSwapHit(b *testing.B) {
	k := newKit(b, hold)
	_, raw := k.issue()
	scopes := []string{"orders:read"}
	b.ReportAllocs()
	for b.Loop() {
		decide(b, k.edge, raw, scopes)
	}
}

// BenchmarkLeaseOfAHit takes turns with and without the lease, so that both see the same machine, and reports the
// medians: a turn that was interrupted says nothing.
func BenchmarkLeaseOfAHit(b *testing.B) {
	const turn = 100
	k := newKit(b, hold)
	_, raw := k.issue()
	decide(b, k.edge, raw, nil)
	var with, without []time.Duration
	for b.Loop() {
		began := time.Now()
		for range turn {
			if _, source, _ := k.edge.Swap(context.Background(), raw, exchange.Leased); source != exchange.SourceHit {
				b.Fatalf("source %q", source)
			}
		}
		between := time.Now()
		for range turn {
			if _, err := exchange.HitWithoutLease(k.edge, raw); err != nil {
				b.Fatal(err)
			}
		}
		with, without = append(with, between.Sub(began)), append(without, time.Since(between))
	}
	median := func(of []time.Duration) float64 {
		slices.Sort(of)
		return float64(of[len(of)/2].Nanoseconds()) / turn
	}
	b.ReportMetric(median(with), "ns/hit")
	b.ReportMetric(median(with)-median(without), "ns/lease")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDecide is the decision on what is still good.
func BenchmarkDecide(b *testing.B) {
	k := newKit(b, hold)
	_, raw := k.issue()
	p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decide(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSwapHitParallel(b *testing.B) {
	k := newKit(b, hold)
	var raws []string
	for range 1000 {
		_, raw := k.issue()
		raws = append(raws, raw)
		decide(b, k.edge, raw, nil)
	}
	scopes := []string{"orders:read"}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			decide(b, k.edge, raws[i%len(raws)], scopes)
		}
	})
}

// A miss with everything that is ours: the store is in process, the signature of the manifest is verified.
func BenchmarkSwapMiss(b *testing.B) {
	k := newKit(b, hold)
	_, raw := k.issue()
	b.ReportAllocs()
	for b.Loop() {
		edge := k.edge
		b.StopTimer()
		k.edge = k.newEdge()
		b.StartTimer()
		decide(b, edge, raw, nil)
	}
}

// Strict: one question to a store in process, and no signature.
func BenchmarkSwapStrict(b *testing.B) {
	k := newKit(b, hold)
	_, raw := k.issue()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := k.edge.Swap(context.Background(), raw, exchange.Strict); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	s := newStamper(b, randomKey())
	raw := s.New().Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseForged(b *testing.B) {
	s := newStamper(b, randomKey())
	raw := newStamper(b, randomKey()).New().Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(raw); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkReference(b *testing.B) {
	s := newStamper(b, randomKey())
	b.ReportAllocs()
	for b.Loop() {
		s.New()
	}
}

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) Put(context.Context, store.Record, store.Quota) error { return nil }

func (nowhere) Shards() int { return 1 }

func (nowhere) ShardOf(string) int { return 0 }

func BenchmarkDeposit(b *testing.B) {
	k := newKit(b, hold)
	d := k.draft()
	p := d.deposit()
	depositor := exchange.NewDepositor(k.stamper, nowhere{}, k.follower)
	b.ReportAllocs()
	for b.Loop() {
		if err := depositor.Deposit(b.Context(), d.reference, p); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCacheCountsWhatEntriesHold compares the bytes that the cache counts with the memory that the process holds: if
// it counted too few, an edge would outgrow its memory; and a grant of two JWTs of 700 bytes has to stay so small that
// 100,000 of them fit into 400 MiB of a process whose garbage collector lets the heap double.
func TestCacheCountsWhatEntriesHold(t *testing.T) {
	const grants = 2000
	k := newKit(t, hold, func(c *exchange.Config) { c.CacheBytes = 1 << 30 })
	drafts, raws := make([]exchange.Deposit, grants), make([]string, grants)
	blobs := make(map[string][]byte, grants)
	for i := range grants {
		d := k.draft()
		drafts[i], raws[i] = d.deposit(), d.reference.Reveal()
		blob, err := exchange.Seal(k.stamper, d.reference, drafts[i].Manifest, d.tokens, d.manifest.ExpiresAt)
		if err != nil {
			t.Fatal(err)
		}
		blobs[d.manifest.JTI] = blob
	}
	k.records.planted = blobs
	before := liveHeap()
	for _, raw := range raws {
		k.swap(raw, exchange.SourceMiss)
	}
	held := float64(liveHeap()-before) / grants
	counted := float64(exchange.CountedBytes(k.edge)) / grants
	runtime.KeepAlive(blobs)
	runtime.KeepAlive(drafts)
	t.Logf("%.0f bytes held for a grant, %.0f counted", held, counted)
	if held > 2050 {
		t.Errorf("a grant with two JWTs of 700 bytes holds %.0f bytes: 100,000 of them do not fit into 400 MiB", held)
	}
	if counted < 0.9*held || counted > 1.25*held {
		t.Errorf("the cache counts %.0f bytes for %.0f", counted, held)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
