package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

const (
	testLease = 500 * time.Millisecond
	even      = testLease + testLease/rateError + slack + evenOut // how long a revocation takes when nothing is wrong
)

// wire is the way to a Memory: questions and answers can be held up and lost on it.
type wire struct {
	*store.Memory

	mu     sync.Mutex // guards what follows
	before func(ctx context.Context, op string, shard int) error
	after  func(ctx context.Context, op string, shard int) error
	ended  []bool // answers of Open
}

func (w *wire) hooks() (before, after func(context.Context, string, int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.before, w.after
}

func (w *wire) set(before, after func(ctx context.Context, op string, shard int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

func (w *wire) pass(ctx context.Context, op string, shard int, do func() error) error {
	before, after := w.hooks()
	if before != nil {
		if err := before(ctx, op, shard); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if after != nil {
		return after(ctx, op, shard)
	}
	return nil
}

func (w *wire) Shard(ctx context.Context, shard int, issuer string) (s store.Shard, err error) {
	err = w.pass(ctx, "shard", shard, func() (err error) { s, err = w.Memory.Shard(ctx, shard, issuer); return err })
	if err != nil {
		return store.Shard{}, err
	}
	return s, nil
}

func (w *wire) Revoke(ctx context.Context, shard int, by store.Author, fence string, batch []store.Numbered, replicas int) (a store.Revoked, err error) {
	var refused error // comes with an answer: what is done is done
	err = w.pass(ctx, "revoke", shard, func() error {
		a, refused = w.Memory.Revoke(ctx, shard, by, fence, batch, replicas)
		return nil
	})
	if err != nil {
		return store.Revoked{}, err
	}
	return a, refused
}

func (w *wire) Enrol(ctx context.Context, shard int, by store.Author, insteadOf string) error {
	return w.pass(ctx, "enrol", shard, func() error { return w.Memory.Enrol(ctx, shard, by, insteadOf) })
}

func (w *wire) Vote(ctx context.Context, shard int, by store.Author, replication string, whole bool) error {
	return w.pass(ctx, "vote", shard, func() error { return w.Memory.Vote(ctx, shard, by, replication, whole) })
}

func (w *wire) Open(ctx context.Context, shard int, o store.Opening) (ended bool, err error) {
	err = w.pass(ctx, "open", shard, func() (err error) { ended, err = w.Memory.Open(ctx, shard, o); return err })
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = append(w.ended, ended)
	}
	return ended, err
}

func (w *wire) SetLease(ctx context.Context, shard int, id string, lease, sleep time.Duration) error {
	return w.pass(ctx, "lease", shard, func() error { return w.Memory.SetLease(ctx, shard, id, lease, sleep) })
}

// openings are the answers of Open since the last call.
func (w *wire) openings() []bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := w.ended
	w.ended = nil
	return ended
}

// away is a store that cannot be reached.
func away(context.Context, string, int) error { return store.ErrUnavailable }

// slow holds up each op of a name.
func slow(name string, d time.Duration) func(context.Context, string, int) error {
	return func(_ context.Context, op string, _ int) error {
		if op == name {
			time.Sleep(d)
		}
		return nil
	}
}

// process is a running issuer.
type process struct {
	*Revoker
	t    testing.TB
	disk *fragile
	stop context.CancelFunc
	over chan struct{}
	log  *logged
}

// logged keeps log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs an issuer; the list of all has its name and others.
func start(t testing.TB, shards Shards, disk *fragile, name string, c RevokerConfig, others ...string) *process {
	t.Helper()
	j, err := openJournal(disk, "journal")
	if err != nil {
		t.Fatalf("open the journal of %s: %v", name, err)
	}
	c.Shards, c.Journal, c.Issuer, c.Issuers = shards, j, name, append([]string{name}, others...)
	p := run(t, c)
	p.disk = disk
	return p
}

// run runs an issuer until the test ends.
func run(t testing.TB, c RevokerConfig) *process {
	t.Helper()
	p := &process{t: t, over: make(chan struct{}), log: &logged{}}
	c.Logger = slog.New(slog.NewTextHandler(p.log, nil))
	var err error
	if p.Revoker, err = NewRevoker(c); err != nil {
		t.Fatalf("NewRevoker: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.stop = cancel
	go func() {
		defer close(p.over)
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process; its disk stays.
func (p *process) kill() {
	p.stop()
	<-p.over
}

// again starts it anew after a crash of its machine.
func (p *process) again(others ...string) *process {
	p.t.Helper()
	p.kill()
	return start(p.t, p.config.Shards, p.disk.restart(rand.New(rand.NewPCG(1, 2))), p.config.Issuer, RevokerConfig{}, others...)
}

// ready waits until the process is ready.
func ready(t *testing.T, ps ...*process) {
	t.Helper()
	for _, p := range ps {
		within(t, 3*time.Second, func() error { return p.Ready() })
	}
}

// within polls on the bubble's clock until ok says nil.
func within(t *testing.T, limit time.Duration, ok func() error) {
	t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) <= limit; time.Sleep(5 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("not within %v: %v", limit, err)
}

// issue puts a record and returns its jti.
func issue(t *testing.T, m *store.Memory) string {
	t.Helper()
	r := storetest.NewRecord()
	if s, err := m.Shard(t.Context(), m.ShardOf(r.JTI), "a"); err == nil {
		r.Since = store.Since{Seq: s.At.Seq, Incarnation: s.Incarnation}
	}
	if err := m.Put(t.Context(), r, store.Quota{Grants: 1000, Bytes: 1 << 20}); err != nil {
		t.Fatalf("Put: %v", err)
	}
	return r.JTI
}

func lives(t *testing.T, m *store.Memory, jti string, want bool) {
	t.Helper()
	_, err := m.Take(t.Context(), jti)
	if live := err == nil; live != want || err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Take(%s) = %v; want it alive: %v", jti, err, want)
	}
}

// revoke must succeed.
func (p *process) revoke(rs ...Revocation) Receipt {
	p.t.Helper()
	receipt, err := p.Revoke(p.t.Context(), rs...)
	if err != nil {
		p.t.Fatalf("Revoke(%v): %v\n%s", rs, err, p.log)
	}
	return receipt
}

// refused must end in ErrNotDurable.
func (p *process) refused(rs ...Revocation) (Receipt, error) {
	p.t.Helper()
	receipt, err := p.Revoke(p.t.Context(), rs...)
	if !errors.Is(err, ErrNotDurable) {
		p.t.Fatalf("Revoke(%v) = %+v, %v; want ErrNotDurable\n%s", rs, receipt, err, p.log)
	}
	return receipt, err
}

func (p *process) logs(want ...string) {
	p.t.Helper()
	for _, text := range want {
		if !strings.Contains(p.log.String(), text) {
			p.t.Errorf("the log does not say %q:\n%s", text, p.log)
		}
	}
}

// wants compares with ==.
func wants[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func tookExactly(t *testing.T, what string, begin time.Time, want time.Duration) {
	t.Helper()
	wants(t, fmt.Sprint("time of ", what), time.Since(begin), want)
}
