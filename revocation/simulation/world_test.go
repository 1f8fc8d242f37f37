package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// world is one run: two issuers, two edges, their clients, a store, and what happens to them.
type world struct {
	dice    *dice
	weather *weather
	plan    plan
	shards  int
	missing time.Duration
	lease   atomic.Int64 // that issuers are configured with when they start
	stamper *exchange.Stamper
	mint    *mint
	history *history

	issuers [2]*issuer
	edges   [2]*edge

	mu        sync.Mutex
	master    *server          // guarded by mu
	snapshots []store.Snapshot // guarded by mu; oldest first
	disaster  time.Duration    // guarded by mu; when the last one was over

	running sync.WaitGroup // processes
	flying  sync.WaitGroup // messages
}

const (
	warmUp  = 500 * time.Millisecond
	storm   = 4 * time.Second // of faults
	settle  = 8 * time.Second // until everything works again, at most
	quiet   = 1500 * time.Millisecond
	clients = 3 // of each edge
)

func newWorld(seed uint64, m *mint, dir string) *world {
	d := newDice(seed)
	r := d.of("world")
	w := &world{
		dice: d, weather: newWeather(r), plan: newPlan(r), shards: 1, missing: time.Second, stamper: newStamper(), mint: m, history: newHistory(),
	}
	if chance(r, 0.5) {
		w.shards = 4
	}
	if chance(r, 0.3) {
		w.missing = 3 * lease / 2
	}
	if w.plan.lossless() {
		w.missing = time.Minute
	}
	w.lease.Store(int64(lease))
	w.master = &server{Memory: store.NewShardedMemory(w.shards), name: "redis-0"}
	for i := range w.issuers {
		name := fmt.Sprintf("issuer-%c", 'a'+i)
		w.issuers[i] = &issuer{host: w.host(name, r), journal: filepath.Join(dir, name)}
	}
	for i := range w.edges {
		w.edges[i] = &edge{host: w.host(fmt.Sprintf("edge-%c", 'a'+i), r)}
	}
	return w
}

// host has a clock whose rate is wrong by less than 1/1000 against that of any other.
func (w *world) host(name string, r *rand.Rand) *host {
	return &host{w: w, name: name, drift: (2*r.Float64() - 1) / 1001, server: w.master}
}

func (w *world) hosts() []*host {
	return []*host{w.issuers[0].host, w.issuers[1].host, w.edges[0].host, w.edges[1].host}
}

func (w *world) now() *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.master
}

func (w *world) shardOf(jti string) int { return w.now().ShardOf(jti) }

// nameOf is what a jti is called in a story, which must not depend on chance that no seed decides.
func (w *world) nameOf(name string) string {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	return w.history.word(name)
}

// run lets it happen, and gives what is wrong, if anything.
func (w *world) run() []fault {
	for _, i := range w.issuers {
		i.start()
	}
	for _, e := range w.edges {
		e.start()
	}
	faults := w.ready("at the start", 4*settle) // the weather may be bad already
	end := w.history.now() + warmUp + storm
	var actors sync.WaitGroup
	for _, e := range w.edges {
		for c := range clients {
			actors.Go(func() { w.uses(e, fmt.Sprintf("%s client %d", e.name, c), end+settle/4) })
		}
	}
	for _, i := range w.issuers {
		actors.Go(func() { w.mints(i, end) })
		for c := range 2 {
			actors.Go(func() { w.revokes(i, fmt.Sprintf("%s operator %d", i.name, c), end) })
		}
	}
	time.Sleep(warmUp)
	w.plan.strike(w, end)
	w.weather.clear.Store(true)
	faults = append(faults, w.ready("after the faults", settle)...)
	actors.Wait()
	faults = append(faults, w.epilogue()...)
	for _, i := range w.issuers {
		i.crash(false)
	}
	for _, e := range w.edges {
		e.process().stop()
	}
	w.running.Wait()
	w.flying.Wait()
	return append(faults, check(w.history)...)
}

// ready waits until everybody is.
func (w *world) ready(when string, limit time.Duration) []fault {
	var why error
	for begin := time.Now(); time.Since(begin) < limit; time.Sleep(10 * time.Millisecond) {
		why = nil
		for _, i := range w.issuers {
			if err := i.process().revoker.Ready(); err != nil {
				why = fmt.Errorf("%s: %w", i.name, err)
			}
		}
		if why == nil {
			return nil
		}
	}
	return []fault{{text: fmt.Sprintf("not ready %s within %v: %v", when, limit, why)}}
}

// uses sends requests to one edge, at times that do not depend on how long the others take; what is late is left out.
func (w *world) uses(e *edge, who string, end time.Duration) {
	at := w.history.now()
	for n := uint64(0); at < end; n++ {
		r := w.dice.nth(who, n)
		at += between(r, 5*time.Millisecond, 28*time.Millisecond)
		wait := at - w.history.now()
		if wait < 0 {
			continue
		}
		time.Sleep(wait)
		if t := w.history.choose(r); t != nil {
			e.request(t, r)
		}
	}
}

// mints lets one issuer mint.
func (w *world) mints(i *issuer, end time.Duration) {
	for n := 0; w.history.now() < end; n++ {
		r := w.dice.of(i.name + " mints")
		pause := 5 * time.Millisecond
		if n > 6 {
			pause = 120 * time.Millisecond
		}
		time.Sleep(between(r, 0, pause))
		think := between(r, 0, 3*time.Millisecond)
		if chance(r, 0.3) {
			think = between(r, 0, 2*lease)
		}
		_ = i.mintOne(w.draft(r), r, think) // what fails is not held by anybody; it is tried all the same
	}
}

// draft gives a token to be its names. Some share them.
func (w *world) draft(r *rand.Rand) *token {
	kid := r.IntN(signingKeys)
	return &token{
		client: fmt.Sprintf("client-%d", r.IntN(8)), family: fmt.Sprintf("family-%d", r.IntN(40)),
		subject: fmt.Sprintf("subject-%d", r.IntN(12)), kid: fmt.Sprintf("key-%d", kid),
	}
}

// revokes lets one operator revoke by one issuer.
func (w *world) revokes(i *issuer, who string, end time.Duration) {
	for w.history.now() < end {
		r := w.dice.of(who)
		time.Sleep(between(r, 20*time.Millisecond, 500*time.Millisecond))
		rs := []revocation.Revocation{w.revocation(r)}
		if chance(r, 0.2) {
			rs = append(rs, w.revocation(r))
		}
		if rs[0].Name != "" && !i.revoke(r, rs...) && chance(r, 0.5) {
			i.revoke(r, rs...)
		}
	}
}

func (w *world) revocation(r *rand.Rand) revocation.Revocation {
	t := w.history.choose(r)
	if t == nil {
		return revocation.Revocation{}
	}
	until := time.Now().Add(life).Truncate(time.Second)
	switch n := r.IntN(100); {
	case n < 76:
		return revocation.Revocation{Kind: revocation.Token, Name: t.jti, Until: until}
	case n < 84:
		return revocation.Revocation{Kind: revocation.Family, Name: t.family, Until: until}
	case n < 90:
		return revocation.Revocation{Kind: revocation.Client, Name: t.client, Until: until}
	case n < 96:
		return revocation.Revocation{Kind: revocation.Subject, Name: t.subject, Until: until}
	case n < 98:
		moment := time.Now().Add(-time.Duration(r.IntN(4)) * time.Second)
		return revocation.Revocation{Kind: revocation.Before, Name: fmt.Sprint(moment.Unix()), Until: until}
	default:
		return revocation.Revocation{Kind: revocation.Key, Name: t.kid, Until: until}
	}
}

// epilogue asks, when all is well again, for what must live and what must not.
func (w *world) epilogue() []fault {
	r := w.dice.of("epilogue")
	var faults []fault
	faults = append(faults, w.goesOn(r)...)
	faults = append(faults, w.staysRevoked(r)...)
	return append(faults, w.livesOn()...)
}

// tempDir is in memory where there is such a file system: an fsync costs nothing there.
func tempDir() (string, func(), error) {
	dir, err := os.MkdirTemp("/dev/shm", "simulation")
	if err != nil {
		dir, err = os.MkdirTemp("", "simulation")
	}
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
