package revocation_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// TestFollowerOfAStore goes through the life of a shard with the real store: opened, revoked from, restarted, emptied.
func TestFollowerOfAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, by := store.NewMemory(), store.Author{Issuer: "issuer-1", Journal: "journal"}
		f := newFollower(t, revocation.FollowerConfig{Log: m, StreamGrace: grace})
		run(t, f)
		pass(time.Second)
		if err := f.Ready(); err == nil {
			t.Fatal("a lease from a store that nobody has opened")
		}
		reopen(t, m, by)
		pass(time.Second)

		one, two := fill(t, f, m, "one"), fill(t, f, m, "two")
		watched := f.Watch("jti-two", two.n, &two.mark, time.Now().Add(far))
		defer watched.Stop()
		revoke := store.Numbered{Number: 1, Revocation: store.Revocation{Kind: store.KindToken, Name: "jti-one", Until: time.Now().Add(far)}}
		if _, err := m.Revoke(t.Context(), 0, by, "", []store.Numbered{revoke}, 0); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		pass(onePull)
		if one.holds() || !two.holds() {
			t.Errorf("after a revocation kept answers hold: %t, %t; want only the second", one.holds(), two.holds())
		}

		m.Restart()
		pass(leaseLength)
		if two.holds() {
			t.Error("a lease from a store that was restarted, and not opened since")
		}
		if err := m.Vote(t.Context(), 0, by, shard(t, m, by).Replication, true); err != nil {
			t.Fatalf("Vote: %v", err)
		}
		reopen(t, m, by)
		pass(time.Second)
		if one.holds() || !two.holds() || cutBy(watched) != "" {
			t.Errorf("opened anew with everything, kept answers hold: %t, %t, the stream is cut by %q; want the second, and no cut",
				one.holds(), two.holds(), cutBy(watched))
		}

		m.Clear()
		reopen(t, m, by)
		pass(time.Second)
		if two.holds() || cutBy(watched) != revocation.Revoked {
			t.Errorf("of an emptied store a kept answer holds: %t, its stream is cut by %q; want false, revoked", two.holds(), cutBy(watched))
		}
		if three := fill(t, f, m, "three"); !three.holds() {
			t.Error("what is kept from the emptied store does not hold")
		}
	})
}

func shard(t *testing.T, m *store.Memory, by store.Author) store.Shard {
	t.Helper()
	s, err := m.Shard(t.Context(), 0, by.Issuer)
	if err != nil {
		t.Fatalf("Shard: %v", err)
	}
	return s
}

func reopen(t *testing.T, m *store.Memory, by store.Author) {
	t.Helper()
	o := store.Opening{Replication: shard(t, m, by).Replication, Issuers: []string{by.Issuer}, Lease: leaseLength}
	if _, err := m.Open(t.Context(), 0, o); err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := m.Enrol(t.Context(), 0, by, ""); err != nil {
		t.Fatalf("Enrol: %v", err)
	}
}

// fill puts a record and keeps what the store says of it.
func fill(t *testing.T, f *revocation.Follower, m *store.Memory, grant string) *kept {
	t.Helper()
	err := m.Put(t.Context(), store.Record{
		JTI: "jti-" + grant, Blob: slices.Repeat([]byte{1}, 100), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(far), Since: f.Since(0),
		KeyID: "key-" + grant, Client: "client-" + grant, Family: "family-" + grant, Subject: "subject-" + grant,
	}, store.Quota{Grants: 1000, Bytes: 1 << 20})
	if err != nil {
		t.Fatalf("Put %s: %v", grant, err)
	}
	taken, err := m.Take(t.Context(), "jti-"+grant)
	if err != nil {
		t.Fatalf("Take %s: %v", grant, err)
	}
	k := &kept{f: f, n: names(f, taken.Shard, grant)}
	if !f.Keep(&k.mark, taken, &k.n) {
		t.Fatalf("an answer of now about %s was not kept", grant)
	}
	return k
}
