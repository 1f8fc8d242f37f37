package storetest

import (
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// listed is what List and Inspect tell of r.
func listed(r store.Record, revoked bool) store.Listed {
	return store.Listed{
		JTI: r.JTI, Client: r.Client, Family: r.Family, Subject: r.Subject, KeyID: r.KeyID,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt, Bytes: len(r.Blob), Revoked: revoked,
	}
}

func listing(t *testing.T, h *hand) {
	alive, under, gone := h.put(0, own), h.put(0, own), h.put(0, own)
	h.revoke(naming(store.KindSubject, under.Subject))
	h.revoke(naming(store.KindToken, gone.JTI))
	for _, want := range []store.Listed{listed(alive, false), listed(under, true)} {
		got, err := h.Inspect(t.Context(), want.JTI)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("inspect (-want +got):\n%s", diff)
		}
	}
	_, err := h.Inspect(t.Context(), gone.JTI)
	wantErr(t, "inspect of a revoked token", err, store.ErrRevoked)
	_, err = h.Inspect(t.Context(), NewRecord().JTI)
	wantErr(t, "inspect of what was never there", err, store.ErrNotFound)

	got := h.list(0, 100)
	want := map[string]store.Listed{alive.JTI: listed(alive, false), under.JTI: listed(under, true)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

// list reads a shard to its end.
func (h *hand) list(shard, limit int) map[string]store.Listed {
	h.t.Helper()
	all := map[string]store.Listed{}
	for cursor, pages := uint64(0), 0; ; pages++ {
		found, next, err := h.List(h.t.Context(), shard, cursor, limit)
		must(h.t, err)
		for _, l := range found {
			all[l.JTI] = l
		}
		if cursor = next; next == 0 {
			return all
		}
		if pages > 10_000 {
			h.t.Fatal("the list has no end")
		}
	}
}

// listingAll finds in each shard what is in it, in small steps, while other records come and go.
func listingAll(t *testing.T, h *hand) {
	want := make([]map[string]store.Listed, h.Shards())
	for i := range want {
		want[i] = map[string]store.Listed{}
		for range 40 {
			r := h.put(i)
			want[i][r.JTI] = listed(r, false)
		}
	}
	for i := range want {
		if diff := cmp.Diff(want[i], h.list(i, 7)); diff != "" {
			t.Errorf("shard %d (-want +got):\n%s", i, diff)
		}
	}
	for _, limit := range []int{0, -1, 501} {
		_, _, err := h.List(t.Context(), 0, 0, limit)
		wantRefused(t, "a page of no size", err)
	}
}

func edgesSeen(t *testing.T, h *hand) {
	after := make([]store.Position, h.Shards())
	var want []uint64
	for i := range after {
		after[i] = h.shard(i).At
		want = append(want, after[i].Seq)
	}
	begun := time.Now().Add(-time.Millisecond)
	h.Pull(t.Context(), after, "edge-b")
	h.Pull(t.Context(), make([]store.Position, h.Shards()), "edge-a")
	h.Pull(t.Context(), after, "")
	got, err := h.Seen(t.Context())
	must(t, err)
	if len(got) != 2 || got[0].Edge != "edge-a" || got[1].Edge != "edge-b" || got[1].At.Before(begun) || got[1].At.After(time.Now()) {
		t.Fatalf("seen: got %+v, want edge-a and edge-b, now", got)
	}
	if diff := cmp.Diff(want, got[1].Seq); diff != "" {
		t.Errorf("positions of edge-b (-want +got):\n%s", diff)
	}
}

// hostileLog: what hostileNames is for records.
func hostileLog(t *testing.T, h *hand) {
	ctx := t.Context()
	for _, name := range hostile() {
		for _, kind := range []store.Kind{store.KindToken, store.KindFamily, store.KindClient, store.KindSubject, store.KindKey, store.KindBefore} {
			_, err := h.Revoke(ctx, 0, h.by, "", h.next(naming(kind, name)), 0)
			wantRefused(t, "revoke "+string(kind), err)
		}
		good := h.next(naming(store.KindClient, "c"))
		_, issuerErr := h.Revoke(ctx, 0, store.Author{Issuer: name, Journal: "j"}, "", good, 0)
		_, journalErr := h.Revoke(ctx, 0, store.Author{Issuer: "i", Journal: name}, "", good, 0)
		_, shardErr := h.Shard(ctx, 0, name)
		_, inspectErr := h.Inspect(ctx, name)
		_, openErr := h.Open(ctx, 0, store.Opening{Replication: name, Issuers: []string{Issuer}, Lease: Lease})
		_, issuersErr := h.Open(ctx, 0, store.Opening{Replication: "r", Issuers: []string{name}, Lease: Lease})
		for what, err := range map[string]error{
			"issuer": issuerErr, "journal": journalErr, "shard": shardErr, "inspect": inspectErr, "open": openErr, "open for": issuersErr,
			"enrol":   h.Enrol(ctx, 0, store.Author{Issuer: name, Journal: name}, ""),
			"vote":    h.Vote(ctx, 0, store.Author{Issuer: name, Journal: "j"}, "r", true),
			"vote in": h.Vote(ctx, 0, h.by, name, true),
		} {
			wantRefused(t, what, err)
		}
		if name != "" {
			_, err := h.Revoke(ctx, 0, h.by, name, good, 0)
			wantRefused(t, "fence", err)
			wantRefused(t, "edge", h.Pull(ctx, make([]store.Position, h.Shards()), name)[0].Err)
		}
	}
}
