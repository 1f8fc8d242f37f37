package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

func pullNothing(t *testing.T, h *hand) {
	for i := range h.Shards() {
		now := h.shard(i)
		want := store.Pulled{At: now.At, Lease: Lease, Incarnation: now.Incarnation}
		if diff := cmp.Diff(want, h.pull(i, now.At)); diff != "" {
			t.Errorf("shard %d from its head (-want +got):\n%s", i, diff)
		}
	}
}

// pullPages reads what is longer than a page, and has no lease before the end.
func pullPages(t *testing.T, h *hand) {
	const n = 1003
	from := h.shard(0).At
	var rs []store.Revocation
	for i := range n {
		rs = append(rs, naming(store.KindClient, fmt.Sprintf("client-%d", i)))
	}
	for batch := range slices.Chunk(h.next(rs...), 500) {
		_, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0)
		must(t, err)
	}
	first := h.pull(0, from)
	if len(first.Entries) != 1000 || !first.More || first.At != first.Entries[999].Position || first.Flush {
		t.Fatalf("first page: got %d entries to %+v, more %v, flush %v; want 1000 and more", len(first.Entries), first.At, first.More, first.Flush)
	}
	second := h.pull(0, first.At)
	if len(second.Entries) != n-1000 || second.More || second.At != h.shard(0).At {
		t.Errorf("second page: got %d entries to %+v, more %v; want %d to the head", len(second.Entries), second.At, second.More, n-1000)
	}
	for i, e := range append(first.Entries, second.Entries...) {
		if e.Name != rs[i].Name || e.Seq != from.Seq+uint64(i)+1 {
			t.Fatalf("entry %d: got %+v, want %s", i, e, rs[i].Name)
		}
	}
	third := h.pull(0, store.Position{Seq: from.Seq + 2, ID: first.Entries[1].ID})
	if len(third.Entries) != 1000 || third.Entries[0].Seq != from.Seq+3 || !third.More {
		t.Errorf("from the middle: got %d entries, more %v", len(third.Entries), third.More)
	}
}

func pullFlushes(t *testing.T, h *hand) {
	h.revoke(naming(store.KindClient, "a"))
	middle := h.shard(0).At
	h.revoke(naming(store.KindClient, "b"))
	head := h.shard(0)
	for what, from := range map[string]store.Position{
		"nobody's":                              {},
		"without an id":                         {Seq: middle.Seq},
		"of another history":                    {Seq: middle.Seq, ID: "another"},
		"of another history of the same length": {Seq: head.At.Seq, ID: "another"},
		"of another history's head":             {Seq: head.At.Seq, ID: middle.ID},
		"ahead":                                 {Seq: head.At.Seq + 1, ID: head.At.ID},
		"far ahead":                             {Seq: 1<<64 - 1, ID: head.At.ID},
		"before the beginning":                  {Seq: 1, ID: head.At.ID},
	} {
		want := store.Pulled{Flush: true, At: head.At, Lease: Lease, Incarnation: head.Incarnation}
		got := h.pull(0, from)
		if len(got.Keys) == 0 {
			got.Keys = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("from a position that is %s (-want +got):\n%s", what, diff)
		}
	}
	if got := h.pull(0, middle); got.Flush || len(got.Entries) != 1 {
		t.Errorf("from the middle: got %+v, want one entry", got)
	}
}

func flushTellsKeys(t *testing.T, h *hand) {
	for _, kid := range []string{"kid-1", "kid-2", "kid-1", "kid-12"} {
		h.revoke(naming(store.KindKey, kid))
	}
	for i := range h.Shards() {
		if diff := cmp.Diff([]string{"kid-1", "kid-2", "kid-12"}, h.pull(i, store.Position{}).Keys); diff != "" {
			t.Errorf("shard %d: keys (-want +got):\n%s", i, diff)
		}
	}
}

// trimming keeps what can still name something, and the floors of keys.
func trimming(t *testing.T, h *hand) {
	soon := time.Now().Add(2 * time.Second).Truncate(time.Second)
	of := func(kind store.Kind, name string, until time.Time) store.Revocation {
		return store.Revocation{Kind: kind, Name: name, Until: until}
	}
	byClient, bySubject, byFamily, byKey, raised := h.put(0, own), h.put(0, own), h.put(0, own), h.put(0, own), h.put(0, own)
	token := recordIn(h, 0)
	var marks []store.Position
	for _, r := range []store.Revocation{
		of(store.KindClient, byClient.Client, soon), of(store.KindSubject, bySubject.Subject, soon), of(store.KindFamily, byFamily.Family, soon),
		of(store.KindKey, byKey.KeyID, soon), of(store.KindToken, token.JTI, soon), of(store.KindClient, raised.Client, soon),
		naming(store.KindClient, raised.Client), of(store.KindClient, "behind-one-that-stays", soon),
	} {
		h.revoke(r)
		marks = append(marks, h.shard(0).At)
	}
	for _, r := range []store.Record{byClient, bySubject, byFamily, byKey, raised} {
		h.wantDead("revoked", r)
	}
	// Each entry is there for 5 s at least.
	Eventually(t, expiryLimit, "the entries to end", func() bool { return time.Now().After(soon.Add(6 * time.Second)) })
	head := h.shard(0).At
	for range 4 {
		h.revoke(naming(store.KindClient, "later"))
	}
	if got := h.pull(0, marks[0]); !got.Flush {
		t.Errorf("from an entry that is gone: got %+v, want a flush", got)
	}
	if got := h.pull(0, marks[5]); got.Flush || len(got.Entries) != 6 {
		t.Errorf("from an entry that is gone, after which none is: got %+v, want what follows", got)
	}
	if got := h.pull(0, head); got.Flush || len(got.Entries) != 4 {
		t.Errorf("from where the head was: got %+v, want what follows", got)
	}
	for _, r := range []store.Record{byClient, bySubject, byFamily} {
		h.wantLives("the floor is gone with its entry", r)
	}
	h.wantDead("the floor of a key stays", byKey)
	h.wantDead("a floor that was raised since stays", raised)
	must(t, h.Put(t.Context(), token, store.Quota{}))
}

func pullRefused(t *testing.T, h *hand) {
	for what, pulled := range map[string][]store.Pulled{
		"too few":             h.Pull(t.Context(), make([]store.Position, h.Shards()-1), ""),
		"too many":            h.Pull(t.Context(), make([]store.Position, h.Shards()+1), ""),
		"by a name of others": h.Pull(t.Context(), make([]store.Position, h.Shards()), "a b"),
	} {
		if len(pulled) != h.Shards() {
			t.Fatalf("%s: got %d answers, want %d", what, len(pulled), h.Shards())
		}
		for _, p := range pulled {
			wantRefused(t, what, p.Err)
		}
	}
}
