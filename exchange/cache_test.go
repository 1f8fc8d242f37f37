package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

func testEntry() *entry {
	return &entry{grant: newGrant(manifestClaims{JTI: "jti", ClientID: "c"}, map[string]Token{"a": NewToken("t")}, [32]byte{})}
}

func TestCacheStaysWithinItsBytes(t *testing.T) {
	t.Parallel()
	c, err := newCache(100 << 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		c.put(cacheKey{byte(i), byte(i >> 8)}, testEntry())
	}
	c.entries.CleanUp()
	held, evicted, bytes := c.entries.EstimatedSize(), c.evicted.Load(), c.entries.WeightedSize()
	if bytes > 100<<10 || held == 0 || evicted != int64(5000-held) {
		t.Errorf("%d entries of %d bytes after %d evictions, want at most %d bytes, and 5000 entries in all", held, bytes, evicted, 100<<10)
	}
}

func TestAbsentIsBoundedAndForgetsByTime(t *testing.T) {
	t.Parallel()
	var a absent
	for i := range 1 << 16 {
		a.remember(cacheKey{byte(i >> 8), byte(i)}, time.Second)
	}
	held := 0
	for i := range 1 << 16 {
		if a.holds(cacheKey{byte(i >> 8), byte(i)}, 0) {
			held++
		}
	}
	if held != len(a) {
		t.Errorf("%d of %d are remembered, want %d", held, 1<<16, len(a))
	}
	last := cacheKey{0xff, 0xff}
	if !a.holds(last, time.Second-1) || a.holds(last, time.Second) || a.holds(cacheKey{0xff, 0xff, 1}, 0) {
		t.Error("the last is not remembered for exactly its time, or another one for it")
	}
}

func TestMetricsAreNamedAndRead(t *testing.T) {
	t.Parallel()
	p := &provider{values: map[string]int64{}}
	c, err := newCache(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.observe(p); err != nil {
		t.Fatal(err)
	}
	e := testEntry()
	c.put(cacheKey{}, e)
	c.evicted.Add(3)
	c.entries.CleanUp() // the weight is counted when the cache gets to it
	p.collect(t)
	want := map[string]int64{"coatcheck_cache_entries": 1, "coatcheck_cache_bytes": int64(e.grant.weight), "coatcheck_cache_evictions": 3}
	if fmt.Sprint(p.values) != fmt.Sprint(want) {
		t.Errorf("metrics %v, want %v", p.values, want)
	}
	if err := c.observe(nil); err != nil {
		t.Errorf("without a meter: %v", err)
	}
}

// provider collects observable instruments: the SDK belongs to another room.
type provider struct {
	noop.MeterProvider
	reads  []func(context.Context) error
	values map[string]int64
}

func (p *provider) Meter(string, ...metric.MeterOption) metric.Meter { return meter{p: p} }

type meter struct {
	noop.Meter
	p *provider
}

func (m meter) Int64ObservableGauge(name string, o ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	m.p.watch(name, metric.NewInt64ObservableGaugeConfig(o...).Callbacks())
	return noop.Int64ObservableGauge{}, nil
}

func (m meter) Int64ObservableCounter(name string, o ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	m.p.watch(name, metric.NewInt64ObservableCounterConfig(o...).Callbacks())
	return noop.Int64ObservableCounter{}, nil
}

func (p *provider) watch(name string, callbacks []metric.Int64Callback) {
	for _, read := range callbacks {
		p.reads = append(p.reads, func(ctx context.Context) error { return read(ctx, observer{p: p, name: name}) })
	}
}

func (p *provider) collect(t *testing.T) {
	t.Helper()
	for _, read := range p.reads {
		if err := read(t.Context()); err != nil {
			t.Errorf("collect: %v", err)
		}
	}
}

type observer struct {
	noop.Int64Observer
	p    *provider
	name string
}

func (o observer) Observe(v int64, _ ...metric.ObserveOption) { o.p.values[o.name] = v }

// BenchmarkCacheOf100000 looks up grants among 100,000 with two JWTs of 700 bytes, and reports what the process has
// taken from the system once they are in, garbage of filling included.
func BenchmarkCacheOf100000(b *testing.B) {
	const grants = 100_000
	c, err := newCache(1 << 30)
	if err != nil {
		b.Fatal(err)
	}
	key := func(i int) cacheKey { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for i := range grants {
		id := key(i)
		jwt := func(kind string) Token { return NewToken((kind + strings.Repeat(hex.EncodeToString(id[:]), 11))[:700]) }
		plain, err := testContents("manifest", "orders-api", jwt("orders").Reveal(), "billing-api", jwt("billing").Reveal()).appendTo(nil)
		if err != nil {
			b.Fatal(err)
		}
		read, err := readContents(plain)
		if err != nil {
			b.Fatal(err)
		}
		g := newGrant(manifestClaims{JTI: hex.EncodeToString(id[:16]), ClientID: "partner-shop"}, read.tokens, id)
		c.put(id, &entry{grant: g})
	}
	c.entries.CleanUp()
	if held := c.entries.EstimatedSize(); held != grants {
		b.Fatalf("%d grants are held, want %d", held, grants)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	keys := make([]cacheKey, 1<<10)
	for i := range keys {
		keys[i] = key(i * 97)
	}
	i := 0
	for b.Loop() {
		if c.get(keys[i%len(keys)]) == nil {
			b.Fatal("not there")
		}
		i++
	}
	b.ReportMetric(float64(m.Sys-m.HeapReleased)/(1<<20), "MiB/process")
	b.ReportMetric(float64(c.entries.WeightedSize())/(1<<20), "MiB/counted")
}
