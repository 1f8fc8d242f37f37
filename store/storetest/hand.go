package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// hand is an issuer's: it revokes in a store in which its journal is enrolled.
type hand struct {
	Store
	t      *testing.T
	by     store.Author
	number uint64 // of the last entry in its journal
}

func newHand(t *testing.T, s Store) *hand {
	t.Helper()
	h := &hand{Store: s, t: t, by: author}
	h.enrol()
	return h
}

func (h *hand) enrol() {
	h.t.Helper()
	for i := range h.Shards() {
		must(h.t, h.Enrol(h.t.Context(), i, h.by, ""))
	}
}

// naming is a revocation that is kept for an hour.
func naming(kind store.Kind, name string) store.Revocation {
	return store.Revocation{Kind: kind, Name: name, Until: time.Now().Add(time.Hour).Truncate(time.Second)}
}

// next numbers revocations as the journal does.
func (h *hand) next(rs ...store.Revocation) []store.Numbered {
	var batch []store.Numbered
	for _, r := range rs {
		h.number++
		batch = append(batch, store.Numbered{Number: h.number, Revocation: r})
	}
	return batch
}

// revoke revokes in the shards that are concerned, and answers the last one's answer.
func (h *hand) revoke(r store.Revocation) (last store.Revoked) {
	h.t.Helper()
	batch := h.next(r)
	for i := range h.Shards() {
		if r.Kind == store.KindToken && h.ShardOf(r.Name) != i {
			continue
		}
		var err error
		last, err = h.Revoke(h.t.Context(), i, h.by, "", batch, 0)
		must(h.t, err)
		if last.Done != h.number || last.Sleep != Lease {
			h.t.Errorf("revoke %s %s: got %+v, want %d done, and a sleep of %v", r.Kind, r.Name, last, h.number, Lease)
		}
	}
	return last
}

// put puts a new record of one shard, changed by set.
func (h *hand) put(shard int, set ...func(*store.Record)) store.Record {
	h.t.Helper()
	r := recordIn(h, shard)
	for _, change := range set {
		change(&r)
	}
	must(h.t, h.Put(h.t.Context(), r, store.Quota{}))
	return r
}

func (h *hand) wantLives(what string, r store.Record) {
	h.t.Helper()
	if _, err := h.Take(h.t.Context(), r.JTI); err != nil {
		h.t.Errorf("%s: take: %v", what, err)
	}
}

func (h *hand) wantDead(what string, r store.Record) {
	h.t.Helper()
	_, err := h.Take(h.t.Context(), r.JTI)
	wantErr(h.t, what+": take", err, store.ErrNotFound)
}

func (h *hand) wantRevoked(what string, r store.Record) {
	h.t.Helper()
	wantErr(h.t, what+": put", h.Put(h.t.Context(), r, store.Quota{}), store.ErrRevoked)
	_, err := h.Take(h.t.Context(), r.JTI)
	wantErr(h.t, what+": take of what put refused", err, store.ErrNotFound)
}

func (h *hand) shard(i int) store.Shard {
	h.t.Helper()
	now, err := h.Shard(h.t.Context(), i, h.by.Issuer)
	must(h.t, err)
	return now
}

// since is what an issuer knows now.
func (h *hand) since(shard int) store.Since {
	h.t.Helper()
	now := h.shard(shard)
	return store.Since{Seq: now.At.Seq, Incarnation: now.Incarnation}
}

// pull pulls all shards from their positions, and answers one.
func (h *hand) pull(shard int, from store.Position) store.Pulled {
	h.t.Helper()
	after := make([]store.Position, h.Shards())
	after[shard] = from
	p := h.Pull(h.t.Context(), after, "")[shard]
	must(h.t, p.Err)
	return p
}

// kinds are all bulk kinds with the name by which each names r; before is of now.
func kinds(r store.Record) map[store.Kind]string {
	return map[store.Kind]string{
		store.KindFamily: r.Family, store.KindClient: r.Client, store.KindSubject: r.Subject, store.KindKey: r.KeyID,
		store.KindBefore: unix(time.Now()),
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// own makes a record of which nothing is shared with another.
func own(r *store.Record) {
	r.Client, r.Family, r.Subject, r.KeyID = "client-"+r.JTI, "family-"+r.JTI, "subject-"+r.JTI, "kid-"+r.JTI
}
