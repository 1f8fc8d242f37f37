package storetest

import (
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// Fragile is a store to which a test can do what happens to a Redis.
type Fragile interface {
	Store
	Restart() // a new replication id, with all data
	Clear()   // no data, under the same replication id
}

// RunOpening runs the rules of closed shards. Each call of open returns an empty store that nobody else uses and nobody
// has opened; it is closed by whoever made it.
func RunOpening(t *testing.T, open func(t *testing.T) Fragile) {
	for name, test := range map[string]func(*testing.T, *hand, Fragile){
		"a new store is closed and empty":                           newIsClosed,
		"a restarted store is closed":                               restartedIsClosed,
		"opened with all that is known nobody is logged out":        openedWhole,
		"opened with a gap everything earlier ends":                 openedWithGap,
		"opened without one who is missing everything earlier ends": openedWithoutOne,
		"votes are needed from all":                                 votesOfAll,
		"votes end with the replication id":                         votesEnd,
		"an open shard is not voted on nor opened":                  openIsOpen,
		"what is said to another node does not count":               otherNode,
		"a journal is brought in behind a fence":                    broughtIn,
		"a journal that is not enrolled vouches for nothing":        notEnrolled,
		"an issuer that left the list is missed for a while":        strangerIsMissed,
		"an emptied store is opened at once, and counts on":         emptied,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			test(t, &hand{Store: s, t: t, by: store.Author{Issuer: Issuer, Journal: "journal-1"}}, s)
		})
	}
}

var others = []store.Author{{Issuer: "issuer-2", Journal: "journal-a"}, {Issuer: "issuer-3", Journal: "journal-b"}}

func (h *hand) vote(shard int, by store.Author, whole bool) error {
	h.t.Helper()
	return h.Vote(h.t.Context(), shard, by, h.shard(shard).Replication, whole)
}

// tryOpen opens one shard for the issuers of all these tests.
func (h *hand) tryOpen(shard int, missing bool) (ended bool, err error) {
	h.t.Helper()
	issuers := []string{h.by.Issuer}
	for _, o := range others {
		issuers = append(issuers, o.Issuer)
	}
	return h.Open(h.t.Context(), shard, store.Opening{Replication: h.shard(shard).Replication, Issuers: issuers, Missing: missing, Lease: time.Second})
}

// begin opens a new store and enrols everybody.
func (h *hand) begin() {
	h.t.Helper()
	Open(h.t, h)
	h.enrol()
	for i := range h.Shards() {
		for _, o := range others {
			must(h.t, h.Enrol(h.t.Context(), i, o, ""))
		}
	}
}

// votesWhole votes for everybody.
func (h *hand) votesWhole(shard int) {
	h.t.Helper()
	for _, by := range append([]store.Author{h.by}, others...) {
		must(h.t, h.vote(shard, by, true))
	}
}

// wantClosed asks for everything that a closed shard must not do.
func (h *hand) wantClosed(r store.Record) {
	h.t.Helper()
	ctx := h.t.Context()
	for i := range h.Shards() {
		mine := recordIn(h, i)
		_, takeErr := h.Take(ctx, r.JTI)
		_, inspectErr := h.Inspect(ctx, mine.JTI)
		_, _, listErr := h.List(ctx, i, 0, 10)
		_, revokeErr := h.Revoke(ctx, i, h.by, "", []store.Numbered{{Number: h.number + 1, Revocation: naming(store.KindClient, "c")}}, 0)
		from, until := coming()
		pulled := h.Pull(ctx, make([]store.Position, h.Shards()), "edge-1")[i]
		for what, err := range map[string]error{
			"take": takeErr, "inspect": inspectErr, "list": listErr, "revoke": revokeErr, "pull": pulled.Err,
			"put": h.Put(ctx, mine, store.Quota{}), "enrol": h.Enrol(ctx, i, h.by, ""), "set lease": h.SetLease(ctx, i, "lid", Lease, Lease),
			"once": Taken(h.Once(ctx, mine.JTI, from, until)),
		} {
			wantErr(h.t, what, err, store.ErrClosed)
		}
		if diff := cmp.Diff(store.Pulled{}, pulled, cmp.Comparer(func(a, b error) bool { return true })); diff != "" {
			h.t.Errorf("pull says more than its error:\n%s", diff)
		}
	}
}

func newIsClosed(t *testing.T, h *hand, _ Fragile) {
	h.wantClosed(NewRecord())
	for i := range h.Shards() {
		now := h.shard(i)
		if diff := cmp.Diff(store.Shard{Replication: now.Replication, Empty: true, Votes: map[string]bool{}, Now: now.Now}, now); diff != "" || now.Replication == "" {
			t.Errorf("shard (-want +got):\n%s", diff)
		}
		_, err := h.Revoke(t.Context(), i, h.by, now.Replication, h.next(naming(store.KindClient, "c")), 0)
		wantErr(t, "revoke behind a fence in an empty shard", err, store.ErrConflict)
		if ended, err := h.tryOpen(i, false); !ended || err != nil {
			t.Errorf("open: got %v, %v; want it opened at once, and everything earlier ended", ended, err)
		}
		after := h.shard(i)
		if !after.Open || after.Empty || after.Lease != time.Second || after.Sleep != time.Second || after.Incarnation == "" || after.At.ID == "" {
			t.Errorf("opened: got %+v", after)
		}
		h.wantLives("put by an issuer that knows nothing yet", h.put(i))
	}
}

func restartedIsClosed(t *testing.T, h *hand, s Fragile) {
	h.begin()
	r, before := h.put(0), h.shard(0)
	s.Restart()
	h.wantClosed(r)
	if now := h.shard(0); now.Open || now.Empty || now.Replication == before.Replication || now.At != before.At || now.Journal != h.by.Journal {
		t.Errorf("restarted: got %+v, want it closed with what it had: %+v", now, before)
	}
}

func openedWhole(t *testing.T, h *hand, s Fragile) {
	h.begin()
	for i := range h.Shards() {
		must(t, h.SetLease(t.Context(), i, h.shard(i).LeaseID, 200*time.Millisecond, 300*time.Millisecond))
	}
	r, dead, before := h.put(0), h.put(0), h.shard(0)
	h.revokeAll(naming(store.KindToken, dead.JTI))
	at := h.shard(0).At
	s.Restart()
	for i := range h.Shards() {
		h.votesWhole(i)
		if ended, err := h.tryOpen(i, false); ended || err != nil {
			t.Errorf("open: got %v, %v; want it open, and nothing ended", ended, err)
		}
	}
	h.wantLives("put before the restart", r)
	h.wantDead("revoked before the restart", dead)
	now := h.shard(0)
	if !now.Open || now.At != at || now.Incarnation == before.Incarnation || now.Lease != 200*time.Millisecond || now.Sleep != 300*time.Millisecond || len(now.Votes) != 0 {
		t.Errorf("opened: got %+v, want the position %+v and the leases that were, another incarnation, and no votes", now, at)
	}
	if got := h.pull(0, before.At); got.Flush || len(got.Entries) != 1 || got.Incarnation != now.Incarnation {
		t.Errorf("pull from before the restart: got %+v, want one entry", got)
	}
	wantErr(t, "a name that could be taken before the restart", Taken(h.Once(t.Context(), r.JTI, time.Now(), time.Now().Add(time.Minute))), store.ErrUnavailable)
	inFlight := recordIn(h, 0)
	inFlight.Since = store.Since{Seq: at.Seq, Incarnation: before.Incarnation}
	h.wantRevoked("known in the incarnation before", inFlight)
}

// revokeAll is revoke whatever the lease.
func (h *hand) revokeAll(r store.Revocation) {
	h.t.Helper()
	_, err := h.Revoke(h.t.Context(), 0, h.by, "", h.next(r), 0)
	must(h.t, err)
}

func emptied(t *testing.T, h *hand, s Fragile) {
	h.begin()
	r := h.put(0)
	h.revokeAll(naming(store.KindClient, "c"))
	before := h.shard(0)
	s.Clear()
	now := h.shard(0)
	if !now.Empty || now.Open || now.Replication != before.Replication || now.Journal != "" {
		t.Errorf("emptied: got %+v, want it empty and closed under the same replication id", now)
	}
	h.wantClosed(r)
	if ended, err := h.tryOpen(0, false); !ended || err != nil {
		t.Errorf("open: got %v, %v; want it opened at once, and everything earlier ended", ended, err)
	}
	after := h.shard(0)
	if after.At.Seq <= before.At.Seq || after.Incarnation == before.Incarnation || after.Journal != "" {
		t.Errorf("opened: got %+v, want a position above %+v, and nobody enrolled", after, before.At)
	}
	if got := h.pull(0, before.At); !got.Flush {
		t.Errorf("pull from before: got %+v, want a flush", got)
	}
	inFlight := recordIn(h, 0)
	inFlight.Since = store.Since{Seq: before.At.Seq, Incarnation: before.Incarnation}
	h.wantRevoked("in flight", inFlight)
}
