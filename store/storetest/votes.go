package storetest

import (
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func openedWithGap(t *testing.T, h *hand, s Fragile) {
	h.begin()
	r, before := h.put(0), h.shard(0)
	s.Restart()
	for _, by := range []store.Author{h.by, others[0]} {
		must(t, h.vote(0, by, true))
	}
	must(t, h.vote(0, others[1], false))
	if ended, err := h.tryOpen(0, false); !ended || err != nil {
		t.Errorf("open: got %v, %v; want it open, and everything earlier ended", ended, err)
	}
	wantEnded(t, h, r, before)
}

func openedWithoutOne(t *testing.T, h *hand, s Fragile) {
	h.begin()
	r, before := h.put(0), h.shard(0)
	s.Restart()
	must(t, h.vote(0, h.by, true))
	_, err := h.tryOpen(0, false)
	wantErr(t, "open with votes missing", err, store.ErrConflict)
	if ended, err := h.tryOpen(0, true); !ended || err != nil {
		t.Errorf("open without them: got %v, %v; want it open, and everything earlier ended", ended, err)
	}
	wantEnded(t, h, r, before)
}

// wantEnded: the record of before is dead, a mint in flight is refused, and the log tells of it.
func wantEnded(t *testing.T, h *hand, r store.Record, before store.Shard) {
	t.Helper()
	h.wantDead("put before", r)
	inFlight := recordIn(h, 0)
	inFlight.Since = store.Since{Seq: before.At.Seq, Incarnation: before.Incarnation}
	h.wantRevoked("in flight", inFlight)
	h.wantLives("put after", h.put(0, func(r *store.Record) { r.Since = h.since(0) }))
	if got := h.pull(0, before.At); len(got.Entries) != 1 || got.Entries[0].Kind != store.KindBefore || got.At.Seq != before.At.Seq+1 {
		t.Errorf("pull: got %+v, want one entry of what has ended", got)
	}
}

// strangerIsMissed: whoever is not on the list may have revoked what is not in here, until it cannot matter any more.
func strangerIsMissed(t *testing.T, h *hand, s Fragile) {
	Open(t, h)
	h.enrol()
	left := store.Author{Issuer: "issuer-that-left", Journal: "journal-c"}
	open := func(life, later time.Duration) (ended bool) {
		t.Helper()
		must(t, h.Enrol(t.Context(), 0, left, ""))
		enrolled := time.Now()
		Eventually(t, expiryLimit, "time to pass", func() bool { return time.Since(enrolled) >= later })
		s.Restart()
		must(t, h.vote(0, h.by, true))
		must(t, h.vote(0, left, true))
		ended, err := h.Open(t.Context(), 0, store.Opening{Replication: h.shard(0).Replication, Issuers: []string{h.by.Issuer}, Life: life, Lease: Lease})
		must(t, err)
		if now, err := h.Shard(t.Context(), 0, left.Issuer); err != nil || now.Journal != "" {
			t.Errorf("after the opening: got %+v, %v, want it forgotten", now, err)
		}
		return ended
	}
	r := h.put(0)
	if !open(time.Hour, 0) {
		t.Error("heard within an hour: nothing has ended, though nobody knows what it has revoked")
	}
	h.wantDead("put before", r)
	if !open(0, 2*time.Second) {
		t.Error("no life given: nothing has ended")
	}
	r = h.put(0, func(r *store.Record) { r.Since = h.since(0) })
	if open(time.Second, 3*time.Second) {
		t.Error("not heard for longer than a token lives: all has ended")
	}
	h.wantLives("put before", r)
}

func votesOfAll(t *testing.T, h *hand, s Fragile) {
	h.begin()
	s.Restart()
	want := map[string]bool{}
	for i, by := range append([]store.Author{h.by}, others...) {
		_, err := h.tryOpen(0, false)
		wantErr(t, "open with votes missing", err, store.ErrConflict)
		must(t, h.vote(0, by, i != 1))
		want[by.Issuer] = i != 1
		if diff := cmp.Diff(want, h.shard(0).Votes); diff != "" {
			t.Errorf("votes (-want +got):\n%s", diff)
		}
	}
	must(t, h.vote(0, others[0], true)) // whoever has found what he missed
	if ended, err := h.tryOpen(0, false); ended || err != nil {
		t.Errorf("open: got %v, %v; want it open, and nothing ended", ended, err)
	}
}

func votesEnd(t *testing.T, h *hand, s Fragile) {
	h.begin()
	s.Restart()
	h.votesWhole(0)
	s.Restart()
	if now := h.shard(0); len(now.Votes) != 0 {
		t.Errorf("votes of another replication id: got %v, want none", now.Votes)
	}
	_, err := h.tryOpen(0, false)
	wantErr(t, "open by votes of another replication id", err, store.ErrConflict)
}

func openIsOpen(t *testing.T, h *hand, _ Fragile) {
	h.begin()
	before := h.shard(0)
	for _, missing := range []bool{false, true} {
		_, err := h.tryOpen(0, missing)
		wantErr(t, "open of an open shard", err, store.ErrConflict)
	}
	wantErr(t, "vote on an open shard", h.vote(0, h.by, true), store.ErrConflict)
	if diff := cmp.Diff(before, h.shard(0), cmpopts.IgnoreFields(store.Shard{}, "Now")); diff != "" {
		t.Errorf("shard (-want +got):\n%s", diff)
	}
	wantRefused(t, "open for nobody", func() error {
		_, err := h.Open(t.Context(), 0, store.Opening{Replication: before.Replication, Lease: Lease})
		return err
	}())
}

func otherNode(t *testing.T, h *hand, s Fragile) {
	h.begin()
	old := h.shard(0).Replication
	s.Restart()
	wantErr(t, "vote for another node", h.Vote(t.Context(), 0, h.by, old, true), store.ErrConflict)
	_, err := h.Open(t.Context(), 0, store.Opening{Replication: old, Issuers: []string{Issuer}, Missing: true, Lease: Lease})
	wantErr(t, "open of another node", err, store.ErrConflict)
	_, err = h.Revoke(t.Context(), 0, h.by, old, h.next(naming(store.KindClient, "c")), 0)
	wantErr(t, "revoke in another node", err, store.ErrClosed)
	if now := h.shard(0); now.Open || len(now.Votes) != 0 || now.Done != 0 {
		t.Errorf("shard: got %+v, want nothing done", now)
	}
}

func broughtIn(t *testing.T, h *hand, s Fragile) {
	h.begin()
	r, other := h.put(0), h.put(0)
	s.Restart()
	fence := h.shard(0).Replication
	got, err := h.Revoke(t.Context(), 0, h.by, fence, h.next(naming(store.KindToken, r.JTI)), 0)
	if err != nil || !got.Found[0] || got.Done != h.number {
		t.Errorf("revoke behind the fence: got %+v, %v; want it done", got, err)
	}
	h.votesWhole(0)
	_, err = h.tryOpen(0, false)
	must(t, err)
	h.wantDead("brought in", r)
	h.wantLives("not named", other)
	_, err = h.Revoke(t.Context(), 0, h.by, fence, h.next(naming(store.KindToken, other.JTI)), 0)
	must(t, err) // the fence still says which node it is
	h.wantDead("revoked behind the fence of an open shard", other)
}

func notEnrolled(t *testing.T, h *hand, s Fragile) {
	h.begin()
	s.Restart()
	stranger := store.Author{Issuer: h.by.Issuer, Journal: "journal-2"}
	wantErr(t, "whole, by another journal", h.vote(0, stranger, true), store.ErrConflict)
	must(t, h.vote(0, stranger, false))
	_, err := h.Revoke(t.Context(), 0, stranger, h.shard(0).Replication, h.next(naming(store.KindClient, "c")), 0)
	wantErr(t, "revoke by another journal", err, store.ErrConflict)
}
