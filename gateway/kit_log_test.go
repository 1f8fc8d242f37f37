package gateway_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

var author = store.Author{Issuer: "issuer-1", Journal: "journal-1"}

// shortLease is for tests in which the log is followed: an edge knows of a revocation within a quarter of it. On a machine
// too busy for that the lease runs out, and the store is asked: what the test sees is the same.
const shortLease = 200 * time.Millisecond

// records is the memory store, as the edge reaches it: it can be made to be away, or slow.
type records struct {
	*store.Memory
	away  atomic.Bool // both records and log
	deaf  atomic.Bool // the log alone
	takes atomic.Int64
	held  atomic.Pointer[chan struct{}] // Take waits until it is closed
}

func newRecords() *records { return &records{Memory: store.NewMemory()} }

func (r *records) Take(ctx context.Context, jti string) (store.Taken, error) {
	r.takes.Add(1)
	if r.away.Load() {
		return store.Taken{}, store.ErrUnavailable
	}
	if held := r.held.Load(); held != nil {
		select {
		case <-*held:
		case <-ctx.Done():
			return store.Taken{}, store.ErrUnavailable
		}
	}
	return r.Memory.Take(ctx, jti)
}

func (r *records) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	if !r.away.Load() && !r.deaf.Load() && r.held.Load() == nil {
		return r.Memory.Pull(ctx, after, seen)
	}
	pulled := make([]store.Pulled, len(after))
	for i := range pulled {
		pulled[i].Err = store.ErrUnavailable
	}
	return pulled
}

// follow opens the store as its issuer does, and follows its log until the test ends.
func (h *house) follow(lease, grace time.Duration) {
	h.t.Helper()
	for i := range h.records.Shards() {
		s, err := h.records.Shard(h.t.Context(), i, author.Issuer)
		if err == nil {
			_, err = h.records.Open(h.t.Context(), i, store.Opening{Replication: s.Replication, Issuers: []string{author.Issuer}, Lease: lease})
		}
		if err == nil {
			err = h.records.Enrol(h.t.Context(), i, author, "")
		}
		if err != nil {
			h.t.Fatalf("open shard %d: %v", i, err)
		}
	}
	var err error
	if h.follower, err = revocation.NewFollower(revocation.FollowerConfig{Log: h.records, StreamGrace: grace}); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.follower.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("follower: %v", err)
		}
	})
	eventually(h.t, "the follower has a lease", func() bool { return h.follower.Ready() == nil })
}

// revoke does what an issuer's revoker does to the store. Nobody waits for the edge to hear of it.
func (h *house) revoke(kind revocation.Kind, name string) {
	h.t.Helper()
	for i := range h.records.Shards() {
		if kind == revocation.Token && i != h.records.ShardOf(name) {
			continue
		}
		h.revoked++
		r := revocation.Revocation{Kind: kind, Name: name, Until: time.Now().Add(time.Hour)}
		if _, err := h.records.Revoke(h.t.Context(), i, author, "", []store.Numbered{{Number: h.revoked, Revocation: r}}, 0); err != nil {
			h.t.Fatalf("revoke %s %s: %v", kind, name, err)
		}
	}
}

// revokeHeard revokes, and waits until the edge knows.
func (h *house) revokeHeard(kind revocation.Kind, name string, g grant) {
	h.t.Helper()
	h.outdate(g, func() { h.revoke(kind, name) })
}

// outdate waits until what happens has outdated all that the edge may have known of g before: what it kept under the lease
// of the log, and the latest answer of the store, which has a lease of its own.
func (h *house) outdate(g grant, happens func()) {
	h.t.Helper()
	var before [2]exchange.Pass
	for i, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
		var err error
		if before[i], _, err = h.exchange.Swap(h.t.Context(), g.reference, f); err != nil {
			h.t.Fatal(err)
		}
	}
	happens()
	for _, p := range before {
		eventually(h.t, "the edge decides no more by what it knew", func() bool {
			ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Millisecond) // of a store that does not answer
			defer cancel()
			again := p
			_, err := again.Decide(ctx)
			return err != nil
		})
	}
}
