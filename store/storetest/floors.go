package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// logTests are the rules of revoking, as far as the shards stay open.
func logTests() map[string]func(*testing.T, *hand) {
	return map[string]func(*testing.T, *hand){
		"a floor ends what was there and nobody else":          floorsEndWhatWasThere,
		"a floor refuses a mint in flight":                     floorsRefuseInFlight,
		"of a family and a key nothing is put again":           floorsForEver,
		"a revoked token is gone and is not put again":         tokenEnds,
		"a token that was never there is not put":              tombstoneComesFirst,
		"before a past moment ends by the time of issue":       beforePast,
		"before a past moment refuses a late put":              beforePastRefuses,
		"before now ends what was issued by a clock ahead":     beforeNowAhead,
		"a revocation is done once, by its number":             revokedOnce,
		"a batch is written in order":                          revokedInOrder,
		"a batch that is no batch is refused":                  batchRefused,
		"another journal is refused":                           otherJournal,
		"a shard that has less than its author knows":          lessThanKnown,
		"found tells of records":                               foundTells,
		"of concurrent revocations exactly one was first":      oneRevocationWins,
		"take never outlives a concurrent revocation":          takeDuringRevocation,
		"a revoked token gives its bytes back, once":           revokedQuota,
		"memory has no replicas to wait for, or they are away": replicasAway,
		"mint and revoke in turn meet the quota":               mintAndRevoke,
		"a token revoked again adds nothing to the log":        revokedAgain,
		"the lease is lowered and raised":                      leaseChanges,
		"a pull from the head has nothing to tell":             pullNothing,
		"a pull reads pages":                                   pullPages,
		"a pull from nowhere flushes":                          pullFlushes,
		"a flush tells the revoked keys":                       flushTellsKeys,
		"old entries go, and their floors":                     trimming,
		"a pull of another number of shards is refused":        pullRefused,
		"a record is listed and inspected":                     listing,
		"all records are listed":                               listingAll,
		"edges are seen":                                       edgesSeen,
		"hostile names never reach the log":                    hostileLog,
	}
}

func floorsEndWhatWasThere(t *testing.T, h *hand) {
	for kind := range kinds(NewRecord()) {
		if kind == store.KindBefore {
			continue
		}
		for i := range h.Shards() {
			victim, twin, other := h.put(i, own), h.put(i, own), h.put(i, own)
			_ = twin
			h.revoke(naming(kind, kinds(victim)[kind]))
			h.wantDead(string(kind), victim)
			h.wantLives(string(kind)+" of another", other)
		}
	}
	records := []store.Record{h.put(0, own), h.put(h.Shards()-1, own)}
	h.revoke(naming(store.KindBefore, unix(time.Now())))
	for _, r := range records {
		h.wantDead("before now", r)
	}
	h.wantLives("put after before now", h.put(0, func(r *store.Record) { r.Since = h.since(0) }))
}

func floorsRefuseInFlight(t *testing.T, h *hand) {
	for kind := range kinds(NewRecord()) {
		inFlight := recordIn(h, 0)
		own(&inFlight)
		inFlight.Since = h.since(0)
		unknown, foreign := inFlight, inFlight
		unknown.Since, foreign.Since = store.Since{}, store.Since{Seq: 1 << 60, Incarnation: "another"}
		h.revoke(naming(kind, kinds(inFlight)[kind]))
		h.wantRevoked(string(kind)+" in flight", inFlight)
		h.wantRevoked(string(kind)+" of an issuer that knew nothing", unknown)
		h.wantRevoked(string(kind)+" of an issuer that knew another incarnation", foreign)
	}
}

func floorsForEver(t *testing.T, h *hand) {
	for kind := range kinds(NewRecord()) {
		r := recordIn(h, 0)
		own(&r)
		h.revoke(naming(kind, kinds(r)[kind]))
		r.Since = h.since(0)
		if kind == store.KindFamily || kind == store.KindKey {
			h.wantRevoked(string(kind)+" later", r)
			continue
		}
		must(t, h.Put(t.Context(), r, store.Quota{}))
		h.wantLives(string(kind)+" later", r)
	}
}

func tokenEnds(t *testing.T, h *hand) {
	for i := range h.Shards() {
		r, other := h.put(i), h.put(i)
		before := h.shard(i)
		if got := h.revoke(naming(store.KindToken, r.JTI)); !got.Found[0] || got.At.Seq != before.At.Seq+1 || got.At.ID == before.At.ID {
			t.Errorf("revoke: got %+v, want it found, at the position after %+v", got, before.At)
		}
		h.wantDead("revoked", r)
		if taken, err := h.Take(t.Context(), other.JTI); err != nil || taken.Seq != before.At.Seq+1 || taken.Incarnation != before.Incarnation {
			t.Errorf("take of another token: got seq %d of %q, %v; want %d of %q", taken.Seq, taken.Incarnation, err, before.At.Seq+1, before.Incarnation)
		}
		r.Since = h.since(i)
		h.wantRevoked("revoked, again", r)
	}
}

func tombstoneComesFirst(t *testing.T, h *hand) {
	r := recordIn(h, 0)
	if got := h.revoke(naming(store.KindToken, r.JTI)); got.Found[0] {
		t.Error("found what was never there")
	}
	h.wantRevoked("revoked before it was put", r)
}

// issued is a record of a time of issue.
func issued(at time.Time) func(*store.Record) {
	return func(r *store.Record) { r.IssuedAt = at.Truncate(time.Second) }
}

func beforePast(t *testing.T, h *hand) {
	moment := time.Now().Add(-time.Hour).Truncate(time.Second)
	last := h.Shards() - 1
	older, ahead, newer := h.put(last, issued(moment.Add(-time.Second))), h.put(last, issued(moment.Add(4*time.Second))), h.put(last, issued(moment.Add(5*time.Second)))
	h.revoke(naming(store.KindBefore, unix(moment)))
	h.wantDead("issued before", older)
	h.wantDead("issued before by a clock that is 4 s ahead", ahead)
	h.wantLives("issued after", newer)
	// An earlier moment takes nothing back.
	h.revoke(naming(store.KindBefore, unix(moment.Add(-time.Hour))))
	h.wantDead("issued before, and an earlier moment revoked since", older)
}

func beforePastRefuses(t *testing.T, h *hand) {
	moment := time.Now().Add(-time.Hour).Truncate(time.Second)
	h.revoke(naming(store.KindBefore, unix(moment)))
	late, fine := recordIn(h, 0), recordIn(h, 0)
	issued(moment.Add(4 * time.Second))(&late)
	issued(moment.Add(5 * time.Second))(&fine)
	late.Since, fine.Since = h.since(0), h.since(0)
	h.wantRevoked("issued before", late)
	must(t, h.Put(t.Context(), fine, store.Quota{}))
}

func beforeNowAhead(t *testing.T, h *hand) {
	ahead := h.put(0, issued(time.Now().Add(2*time.Second)))
	late := h.put(0, issued(time.Now().Add(-4*time.Second)))
	h.revoke(naming(store.KindBefore, unix(time.Now().Add(-3*time.Second))))
	h.wantDead("issued by a clock 2 s ahead", ahead)
	h.wantDead("issued by a clock behind", late)
	again := h.put(0, issued(time.Now().Add(-4*time.Second)), func(r *store.Record) { r.Since = h.since(0) })
	h.wantLives("put after, by a clock behind", again)
}

func revokedQuota(t *testing.T, h *hand) {
	of := func(size int) store.Record {
		r := recordIn(h, 0)
		r.Blob = bytes.Repeat([]byte{'x'}, size)
		return r
	}
	q := inAll(h, store.Quota{Bytes: 1000})
	first := of(600)
	must(t, h.Put(t.Context(), first, q))
	must(t, h.Put(t.Context(), of(400), q))
	for range 2 {
		h.revoke(naming(store.KindToken, first.JTI))
	}
	wantErr(t, "400 + 601 bytes of 1000", h.Put(t.Context(), of(601), q), store.ErrQuota)
	must(t, h.Put(t.Context(), of(600), q))
}

// mintAndRevoke in turn leaves tombstones and entries, so a client's places end with its tokens' lives.
func mintAndRevoke(t *testing.T, h *hand) {
	q := inAll(h, store.Quota{Grants: 3})
	for range 3 {
		r := recordIn(h, 0)
		must(t, h.Put(t.Context(), r, q))
		h.revoke(naming(store.KindToken, r.JTI))
	}
	wantErr(t, "mint after three of three were revoked", h.Put(t.Context(), recordIn(h, 0), q), store.ErrQuota)
}

// revokedAgain adds nothing to the log, and is done all the same; its tombstone stands for as long as the last asked.
func revokedAgain(t *testing.T, h *hand) {
	r := recordIn(h, 0)
	soon := store.Revocation{Kind: store.KindToken, Name: r.JTI, Until: time.Now()}
	h.revoke(soon)
	at := h.shard(0).At
	h.revoke(naming(store.KindToken, r.JTI))
	h.revoke(soon)
	if now := h.shard(0); now.At != at || now.Done != h.number {
		t.Errorf("revoked three times: got %+v, want the position of the first, %+v, and %d done", now, at, h.number)
	}
	Eventually(t, expiryLimit, "the first to end", func() bool { return time.Since(soon.Until) > 7*time.Second })
	wantErr(t, "put after the first has ended", h.Put(t.Context(), r, store.Quota{}), store.ErrRevoked)
}
