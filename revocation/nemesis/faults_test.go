package nemesis_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// fault is one thing that happens. It has passed when it returns.
type fault struct {
	name   string
	weight int
	strike func(ctx context.Context, c *cluster, dice *rand.Rand)
}

// faults are what happens, and how often. The disasters are rare, because everybody's tokens may end with them.
func faults() []fault {
	return []fault{
		{"kill an edge", 3, func(ctx context.Context, c *cluster, d *rand.Rand) { c.kill(ctx, pick(c.edges, d), d) }},
		{"kill an issuer", 3, func(ctx context.Context, c *cluster, d *rand.Rand) { c.kill(ctx, pick(c.issuers, d), d) }},
		{"pause a process", 4, func(ctx context.Context, c *cluster, d *rand.Rand) {
			p := pick(c.nodes(), d).process()
			p.Pause()
			rest(ctx, between(d, 50, 1500))
			p.Resume()
		}},
		{"pause Redis", 3, func(ctx context.Context, c *cluster, d *rand.Rand) {
			c.lab.Redis.Pause()
			rest(ctx, between(d, 50, 1500))
			c.lab.Redis.Resume()
		}},
		{"cut all connections to Redis", 3, func(_ context.Context, c *cluster, _ *rand.Rand) { c.lab.Redis.Do("CLIENT", "KILL", "TYPE", "normal") }},
		{"delay", 3, func(ctx context.Context, c *cluster, d *rand.Rand) {
			p := pick(c.nodes(), d).proxy
			p.Delay(between(d, 1, 400))
			rest(ctx, between(d, 300, 1500))
			p.Delay(0)
		}},
		{"partition", 4, func(ctx context.Context, c *cluster, d *rand.Rand) {
			p := pick(c.nodes(), d).proxy
			p.Partition()
			rest(ctx, between(d, 100, 2000))
			p.Heal()
		}},
		{"answers of Redis are held", 3, func(ctx context.Context, c *cluster, d *rand.Rand) {
			p := pick(c.nodes(), d).proxy
			p.HoldReplies()
			rest(ctx, between(d, 100, 2000))
			p.Heal()
		}},
		{"memory full", 2, func(ctx context.Context, c *cluster, d *rand.Rand) {
			c.lab.Redis.Do("CONFIG", "SET", "maxmemory", "1mb")
			rest(ctx, between(d, 300, 1500))
			c.lab.Redis.Do("CONFIG", "SET", "maxmemory", "0")
		}},
		{"restart with data", 2, func(ctx context.Context, c *cluster, d *rand.Rand) {
			c.lab.Redis.Kill()
			rest(ctx, between(d, 0, 500))
			c.lab.Redis.Restart()
		}},
		{"restart from an old snapshot", 2, oldSnapshot},
		{"FLUSHALL", 1, func(_ context.Context, c *cluster, _ *rand.Rand) { c.lab.Redis.Do("FLUSHALL") }},
	}
}

// oldSnapshot copies what Redis has on disk, lets a while pass in which tokens are revoked, and brings the copy back.
func oldSnapshot(ctx context.Context, c *cluster, d *rand.Rand) {
	dir := c.lab.Redis.Dir()
	old := filepath.Join(c.t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		c.t.Errorf("copy the data of Redis: %v", err)
		return
	}
	rest(ctx, between(d, 500, 2500))
	c.lab.Redis.Kill()
	if err := os.RemoveAll(dir); err != nil {
		c.t.Errorf("remove the data of Redis: %v", err)
	}
	if err := os.CopyFS(dir, os.DirFS(old)); err != nil {
		c.t.Errorf("bring back the data of Redis: %v", err)
	}
	c.lab.Redis.Restart()
}

// kill ends a process as a power cut would, and starts it again.
func (c *cluster) kill(ctx context.Context, n *node, d *rand.Rand) {
	n.process().Kill()
	rest(ctx, between(d, 0, 800))
	n.launch()
}

// harass lets things happen until ctx ends, and says what. What has been begun is put right again before it returns.
func (c *cluster) harass(ctx context.Context, dice *rand.Rand) (struck map[string]int) {
	all, total := faults(), 0
	for _, f := range all {
		total += f.weight
	}
	struck = map[string]int{}
	for ctx.Err() == nil {
		rest(ctx, between(dice, 300, 1500))
		n := dice.IntN(total)
		for _, f := range all {
			if n -= f.weight; n < 0 {
				f.strike(ctx, c, dice)
				struck[f.name]++
				break
			}
		}
	}
	return struck
}

func pick(from []*node, d *rand.Rand) *node { return from[d.IntN(len(from))] }

func between(d *rand.Rand, least, most int) time.Duration {
	return time.Duration(least+d.IntN(most-least+1)) * time.Millisecond
}
