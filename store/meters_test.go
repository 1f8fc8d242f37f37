package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// recorder is a Meter that counts measurements by instrument and labels; provider hands it out.
type recorder struct {
	noop.Meter

	mu   sync.Mutex // guards seen
	seen map[string]int64
}

type provider struct {
	noop.MeterProvider
	r *recorder
}

func (p provider) Meter(string, ...metric.MeterOption) metric.Meter { return p.r }

func (r *recorder) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{name: name, r: r}, nil
}

func (r *recorder) Float64Histogram(name string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{name: name + metric.NewFloat64HistogramConfig(o...).Unit(), r: r}, nil
}

type counter struct {
	noop.Int64Counter
	name string
	r    *recorder
}

func (c counter) Add(_ context.Context, n int64, o ...metric.AddOption) {
	set := metric.NewAddConfig(o).Attributes()
	command, _ := set.Value("command")
	outcome, _ := set.Value("outcome")
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.seen[fmt.Sprintf("%s{%s,%s}", c.name, command.AsString(), outcome.AsString())] += n
}

type histogram struct {
	noop.Float64Histogram
	name string
	r    *recorder
}

func (h histogram) Record(_ context.Context, seconds float64, o ...metric.RecordOption) {
	set := metric.NewRecordConfig(o).Attributes()
	command, _ := set.Value("command")
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	if seconds > 0 {
		h.r.seen[fmt.Sprintf("%s{%s}", h.name, command.AsString())]++
	}
}

func TestRedisMetersEachCommand(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	meter := &recorder{seen: map[string]int64{}}
	s := connect(t, server, func(c *store.RedisConfig) { c.Meter = provider{r: meter} })
	storetest.Open(t, connect(t, server))
	r, ctx := storetest.NewRecord(), t.Context()
	_ = s.Put(ctx, r, store.Quota{})
	_ = s.Put(ctx, r, store.Quota{})
	_ = s.Put(ctx, storetest.NewRecord(), store.Quota{Grants: 1})
	_, _ = s.Take(ctx, r.JTI)
	_, _ = s.Take(ctx, storetest.NewRecord().JTI)
	_, _ = s.Take(ctx, "no name: no command")
	server.Do("HDEL", "coatcheck:{0}:record:"+r.JTI, "v")
	_, _ = s.Take(ctx, r.JTI)
	_ = s.SwapState(ctx, "ring", 1, []byte("x"))
	_, _, _ = s.State(ctx, "ring")
	_ = s.Pull(ctx, make([]store.Position, 1), "edge-1")
	_, _ = s.Revoke(ctx, 0, author, "", []store.Numbered{{Number: 1, Revocation: store.Revocation{Kind: store.KindToken, Name: r.JTI, Until: r.ExpiresAt}}}, 0)
	_, _ = s.Shard(ctx, 0, author.Issuer)
	_ = s.Check(ctx)
	server.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	_ = s.Check(ctx)
	server.Do("DEL", "coatcheck:{0}:head")
	_, _ = s.Take(ctx, r.JTI)
	server.Kill()
	_, _ = s.Take(ctx, r.JTI)

	want := map[string]int64{
		"coatcheck_store_commands{put,ok}":              1,
		"coatcheck_store_commands{put,exists}":          1,
		"coatcheck_store_commands{put,quota}":           1,
		"coatcheck_store_commands{take,ok}":             1,
		"coatcheck_store_commands{take,not_found}":      1,
		"coatcheck_store_commands{take,corrupt}":        1,
		"coatcheck_store_commands{take,closed}":         1,
		"coatcheck_store_commands{take,unavailable}":    1,
		"coatcheck_store_commands{pull,ok}":             1,
		"coatcheck_store_commands{revoke,conflict}":     1,
		"coatcheck_store_commands{shard,ok}":            1,
		"coatcheck_store_commands{swap_state,conflict}": 1,
		"coatcheck_store_commands{state,not_found}":     1,
		"coatcheck_store_commands{check,ok}":            1,
		"coatcheck_store_commands{check,refused}":       1,
		"coatcheck_stores{put}":                         3,
		"coatcheck_stores{take}":                        5,
		"coatcheck_stores{pull}":                        1,
		"coatcheck_stores{revoke}":                      1,
		"coatcheck_stores{shard}":                       1,
		"coatcheck_stores{swap_state}":                  1,
		"coatcheck_stores{state}":                       1,
		"coatcheck_stores{check}":                       2,
	}
	meter.mu.Lock()
	defer meter.mu.Unlock()
	if diff := cmp.Diff(want, meter.seen); diff != "" {
		t.Errorf("measurements (-want +got):\n%s", diff)
	}
}
