package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

func revokedOnce(t *testing.T, h *hand) {
	r := h.put(0)
	batch := h.next(naming(store.KindToken, r.JTI), naming(store.KindClient, r.Client))
	first, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0)
	must(t, err)
	alive := h.put(0, func(r *store.Record) { r.Since = h.since(0) })
	second, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0)
	must(t, err)
	want := first
	want.Found = []bool{false, false}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("the same again (-want +got):\n%s", diff)
	}
	h.wantLives("put between", alive)
	// Of a batch of which a part is done, the rest is.
	more := append(batch[1:], h.next(naming(store.KindSubject, alive.Subject))...)
	third, err := h.Revoke(t.Context(), 0, h.by, "", more, 0)
	if err != nil || third.Done != h.number || third.At.Seq != first.At.Seq+1 {
		t.Errorf("a batch half of which is done: got %+v, %v, want one more than %+v", third, err, first)
	}
	h.wantDead("put between, and revoked by the rest", alive)
	if now := h.shard(0); now.Done != h.number || now.Journal != h.by.Journal {
		t.Errorf("shard: got journal %q done to %d, want %q to %d", now.Journal, now.Done, h.by.Journal, h.number)
	}
}

func revokedInOrder(t *testing.T, h *hand) {
	from := h.shard(0).At
	rs := []store.Revocation{
		naming(store.KindClient, "c"), naming(store.KindToken, recordIn(h, 0).JTI), naming(store.KindKey, "k"),
		naming(store.KindFamily, "f"), naming(store.KindBefore, "1700000000"), naming(store.KindSubject, "s"),
	}
	_, err := h.Revoke(t.Context(), 0, h.by, "", h.next(rs...), 0)
	must(t, err)
	got := h.pull(0, from)
	if len(got.Entries) != len(rs) || got.More || got.Flush {
		t.Fatalf("pull: got %+v, want %d entries", got, len(rs))
	}
	ids := map[string]bool{}
	for i, e := range got.Entries {
		if e.Kind != rs[i].Kind || e.Name != rs[i].Name || !e.Until.Equal(rs[i].Until) || e.Seq != from.Seq+uint64(i)+1 || ids[e.ID] {
			t.Errorf("entry %d: got %+v, want %+v at %d with an id of its own", i, e, rs[i], from.Seq+uint64(i)+1)
		}
		ids[e.ID] = true
	}
	if last := got.Entries[len(rs)-1].Position; got.At != last || h.shard(0).At != last {
		t.Errorf("positions: pull says %+v, shard %+v, want %+v", got.At, h.shard(0).At, last)
	}
}

func batchRefused(t *testing.T, h *hand) {
	one := naming(store.KindClient, "c")
	forever, never := one, one
	forever.Until, never.Until = time.Unix(1<<40, 0), time.Time{}
	rows := map[string][]store.Numbered{
		"nothing":              {},
		"number 0":             {{Number: 0, Revocation: one}},
		"numbers that fall":    {{Number: 2, Revocation: one}, {Number: 1, Revocation: one}},
		"a number twice":       {{Number: 2, Revocation: one}, {Number: 2, Revocation: one}},
		"a number beyond Lua":  {{Number: 1 << 53, Revocation: one}},
		"no kind":              {{Number: 1, Revocation: naming("", "c")}},
		"another kind":         {{Number: 1, Revocation: naming("all", "c")}},
		"a moment in words":    {{Number: 1, Revocation: naming(store.KindBefore, "now")}},
		"a moment with a sign": {{Number: 1, Revocation: naming(store.KindBefore, "-1")}},
		"a moment of zeros":    {{Number: 1, Revocation: naming(store.KindBefore, "007")}},
		"a moment of all time": {{Number: 1, Revocation: naming(store.KindBefore, "99999999999999999999")}},
		"for ever":             {{Number: 1, Revocation: forever}},
		"no end":               {{Number: 1, Revocation: never}},
		"too many":             slices.Repeat([]store.Numbered{{Number: 1, Revocation: one}}, 1001),
	}
	if h.Shards() > 1 {
		rows["a token of another shard"] = []store.Numbered{{Number: 1, Revocation: naming(store.KindToken, recordIn(h, 1).JTI)}}
	}
	before := h.shard(0)
	for what, batch := range rows {
		_, err := h.Revoke(t.Context(), 0, h.by, "", batch, 0)
		wantRefused(t, what, err)
	}
	for _, shard := range []int{-1, h.Shards()} {
		_, err := h.Revoke(t.Context(), shard, h.by, "", h.next(one), 0)
		wantRefused(t, fmt.Sprintf("shard %d", shard), err)
	}
	if after := h.shard(0); after.At != before.At {
		t.Errorf("what was refused was written: at %+v, want %+v", after.At, before.At)
	}
}

func otherJournal(t *testing.T, h *hand) {
	r := h.put(0)
	before := h.shard(0)
	for what, by := range map[string]store.Author{
		"another journal of the issuer": {Issuer: h.by.Issuer, Journal: "journal-2"},
		"an issuer who is not enrolled": {Issuer: "issuer-2", Journal: h.by.Journal},
	} {
		_, err := h.Revoke(t.Context(), 0, by, "", h.next(naming(store.KindToken, r.JTI)), 0)
		wantErr(t, what, err, store.ErrConflict)
	}
	h.wantLives("named by a journal that does not count", r)
	if after := h.shard(0); after.At != before.At || after.Done != 0 {
		t.Errorf("got %+v, want nothing written after %+v", after, before)
	}
	// Enrolled again, a journal keeps its Done; another one begins.
	h.revoke(naming(store.KindClient, "c"))
	must(t, h.Enrol(t.Context(), 0, h.by, ""))
	if now := h.shard(0); now.Done != h.number {
		t.Errorf("enrolled again: got %d done, want %d", now.Done, h.number)
	}
	must(t, h.Enrol(t.Context(), 0, store.Author{Issuer: h.by.Issuer, Journal: "journal-2"}, h.by.Journal))
	if now := h.shard(0); now.Done != 0 || now.Journal != "journal-2" {
		t.Errorf("another enrolled: got %q done to %d, want journal-2 from the beginning", now.Journal, now.Done)
	}
	// What an earlier process sent before it died, and what comes late, takes nobody's place.
	for _, saw := range []string{"", "journal-0"} {
		wantErr(t, "enrol late, having seen "+strconv.Quote(saw), h.Enrol(t.Context(), 0, h.by, saw), store.ErrConflict)
	}
	if now := h.shard(0); now.Journal != "journal-2" {
		t.Errorf("after a late question: got %q, want journal-2", now.Journal)
	}
}

// lessThanKnown: a question that comes after the shard has lost something leaves a gap, and must not be taken.
func lessThanKnown(t *testing.T, h *hand) {
	h.revoke(naming(store.KindClient, "c"))
	late := h.by
	late.Done = h.number + 1
	batch := []store.Numbered{{Number: h.number + 2, Revocation: naming(store.KindClient, "d")}}
	before := h.shard(0)
	_, err := h.Revoke(t.Context(), 0, late, "", batch, 0)
	wantErr(t, "a shard that has less than its author knows", err, store.ErrUnavailable)
	if after := h.shard(0); after.At != before.At || after.Done != before.Done {
		t.Errorf("got %+v, want nothing written after %+v", after, before)
	}
	late.Done = h.number
	_, err = h.Revoke(t.Context(), 0, late, "", batch, 0)
	must(t, err)
}

func foundTells(t *testing.T, h *hand) {
	there, expired, never := h.put(0), h.put(0, func(r *store.Record) { r.ExpiresAt = r.IssuedAt.Add(2 * time.Second) }), recordIn(h, 0)
	Eventually(t, expiryLimit, "the record to expire", func() bool {
		_, err := h.Take(t.Context(), expired.JTI)
		return errors.Is(err, store.ErrNotFound)
	})
	got, err := h.Revoke(t.Context(), 0, h.by, "", h.next(naming(store.KindToken, there.JTI), naming(store.KindToken, expired.JTI),
		naming(store.KindToken, never.JTI), naming(store.KindToken, there.JTI), naming(store.KindClient, there.Client)), 0)
	must(t, err)
	if diff := cmp.Diff([]bool{true, false, false, false, false}, got.Found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// replicasAway: it fails, and what it did is told; asking again fails again.
func replicasAway(t *testing.T, h *hand) {
	r := h.put(0)
	batch := h.next(naming(store.KindToken, r.JTI))
	for range 2 {
		// A quarter of it is for the way to a busy machine and back; three are waited for a replica.
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		got, err := h.Revoke(ctx, 0, h.by, "", batch, 1)
		cancel()
		wantErr(t, "revoke that wants a replica", err, store.ErrUnavailable)
		if got.Done != h.number {
			t.Errorf("done: got %d, want %d", got.Done, h.number)
		}
	}
	h.wantDead("revoked, and not replicated", r)
}

func leaseChanges(t *testing.T, h *hand) {
	ctx, r := t.Context(), h.put(0)
	want := func(what string, lease, sleep time.Duration) {
		t.Helper()
		now, taken := h.shard(0), store.Taken{}
		taken, err := h.Take(ctx, r.JTI)
		must(t, err)
		if p := h.pull(0, now.At); p.Lease != lease || taken.Lease != lease || now.Lease != lease || now.Sleep != sleep {
			t.Errorf("%s: pull says %v, take %v, shard %v and a sleep of %v; want %v and %v", what, p.Lease, taken.Lease, now.Lease, now.Sleep, lease, sleep)
		}
	}
	want("opened", Lease, Lease)
	set := func(lease, sleep time.Duration) error {
		t.Helper()
		return h.SetLease(ctx, 0, h.shard(0).LeaseID, lease, sleep)
	}
	must(t, set(100*time.Millisecond, Lease))
	want("lowered", 100*time.Millisecond, Lease)
	seen := h.shard(0).LeaseID
	must(t, set(time.Second, time.Second))
	must(t, set(100*time.Millisecond, Lease))
	wantErr(t, "of a lease that was another meanwhile", h.SetLease(ctx, 0, seen, 100*time.Millisecond, 100*time.Millisecond), store.ErrConflict)
	want("lowered again", 100*time.Millisecond, Lease)
	must(t, set(100*time.Millisecond, 100*time.Millisecond))
	want("lowered, and waited for", 100*time.Millisecond, 100*time.Millisecond)
	must(t, set(time.Second, time.Second))
	want("raised", time.Second, time.Second)
	wantRefused(t, "a sleep below the lease", set(time.Second, time.Second-time.Millisecond))
	wantRefused(t, "a lease above a minute", set(time.Minute+time.Millisecond, time.Hour))
	wantRefused(t, "no lease", set(0, time.Second))
	want("refused", time.Second, time.Second)
}
