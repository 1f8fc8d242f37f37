package exchange_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

var author = store.Author{Issuer: storetest.Issuer, Journal: "journal-1"}

// patience is for what happens soon on an idle machine.
const patience = 30 * time.Second

// shards is what openShards needs of a store.
type shards interface {
	Shards() int
	Shard(ctx context.Context, shard int, issuer string) (store.Shard, error)
	Vote(ctx context.Context, shard int, by store.Author, replication string, whole bool) error
	Open(ctx context.Context, shard int, o store.Opening) (ended bool, err error)
	Enrol(ctx context.Context, shard int, by store.Author, insteadOf string) error
}

// openShards does what an issuer does when it finds a store closed that has everything.
func openShards(t testing.TB, s shards, lease time.Duration) {
	t.Helper()
	ctx := context.Background()
	for i := range s.Shards() {
		was, err := s.Shard(ctx, i, author.Issuer)
		if err == nil && !was.Empty {
			err = s.Vote(ctx, i, author, was.Replication, true)
		}
		if err == nil {
			_, err = s.Open(ctx, i, store.Opening{Replication: was.Replication, Issuers: []string{author.Issuer}, Lease: lease})
		}
		if err == nil && was.Empty {
			err = s.Enrol(ctx, i, author, "")
		}
		if err != nil {
			t.Fatalf("open shard %d: %v", i, err)
		}
	}
}

// feed is the way from the log to an edge, and can be made to lose what is on it.
type feed struct {
	*store.Memory
	down  atomic.Bool // nothing arrives
	flush atomic.Bool // the next position is one that the store does not know
}

func (f *feed) Pull(ctx context.Context, after []store.Position, seen string) []store.Pulled {
	if f.down.Load() {
		pulled := make([]store.Pulled, len(after))
		for i := range pulled {
			pulled[i].Err = store.ErrUnavailable
		}
		return pulled
	}
	if f.flush.Swap(false) {
		after = make([]store.Position, len(after))
	}
	return f.Memory.Pull(ctx, after, seen)
}

// follow runs a follower until the test ends, and waits for its first lease.
func follow(t testing.TB, log revocation.Log) *revocation.Follower {
	t.Helper()
	f, err := revocation.NewFollower(revocation.FollowerConfig{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("follower: %v", err)
		}
	})
	storetest.Eventually(t, patience, "the follower has a lease", func() bool { return f.Ready() == nil })
	return f
}

// revoke does what an issuer's revoker does to the store, and leaves the waiting to the test.
func (k *kit) revoke(kind store.Kind, name string) {
	k.t.Helper()
	for i := range k.records.Shards() {
		if kind == store.KindToken && i != k.records.ShardOf(name) {
			continue
		}
		k.revoked++
		_, err := k.records.Revoke(context.Background(), i, author, "", []store.Numbered{{
			Number: k.revoked, Revocation: store.Revocation{Kind: kind, Name: name, Until: time.Now().Add(longest)},
		}}, 0)
		if err != nil {
			k.t.Fatalf("revoke %s %s: %v", kind, name, err)
		}
	}
}

// naming is how each kind of revocation names a grant.
func naming(m exchange.Manifest) map[store.Kind]string {
	return map[store.Kind]string{
		store.KindToken:   m.JTI,
		store.KindFamily:  m.Handles.Family,
		store.KindClient:  m.Handles.Client,
		store.KindSubject: m.Handles.Subject,
		store.KindBefore:  strconv.FormatInt(m.IssuedAt.Unix()+1, 10),
		store.KindKey:     "key-1",
	}
}

// forget makes the follower lose its place in the log: nothing that is cached may be used before the store has been
// asked again. Under synctest only.
func (k *kit) forget() {
	k.feed.flush.Store(true)
	time.Sleep(lease)
}
