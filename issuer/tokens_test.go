package issuer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// list reads all pages of a list.
func (k *kit) list(t testing.TB, query string) (all []listedGrant, pages int) {
	t.Helper()
	for cursor := ""; ; {
		w := k.operate(t, "GET", "/v1/tokens?"+query+cursor, "")
		var page tokenList
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query+cursor, w.Code, w.Body)
		}
		all, pages = append(all, page.Tokens...), pages+1
		if page.Next == "" {
			return all, pages
		}
		cursor = "&cursor=" + page.Next
	}
}

func jtis(all []listedGrant) []string {
	found := []string{}
	for _, g := range all {
		found = append(found, g.JTI)
	}
	slices.Sort(found)
	return found
}

func TestTokensAreListedByEachName(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shops, singles := k.tenants(t)
	ids := func(tokens ...string) (all []string) {
		for _, token := range tokens {
			all = append(all, k.jti(t, token))
		}
		slices.Sort(all)
		return all
	}
	first := k.inspect(t, k.jti(t, shops[0]))
	// One is dead, and so not listed.
	dead := k.token(t, shop()).AccessToken
	k.order(t, `{"family":"`+k.jti(t, dead)+`"}`)
	none := []string{}
	for query, want := range map[string][]string{
		"":                                  ids(append(slices.Clone(shops), singles...)...),
		"client=shop":                       ids(shops...),
		"client=single&limit=1":             ids(singles...),
		"client=nobody":                     none,
		"subject=client%3Ashop":             ids(shops...),
		"subject_handle=" + first.Subject:   ids(shops...),
		"family=" + first.JTI:               ids(shops[0]),
		"family=" + first.Family:            ids(shops[0]),
		"client=single&family=" + first.JTI: none,
		"client=shop&family=" + first.JTI:   ids(shops[0]),
	} {
		all, _ := k.list(t, query)
		if diff := cmp.Diff(want, jtis(all)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// A list goes over all shards, page by page, and misses nothing.
func TestListsGoOnWhereTheyEnded(t *testing.T) {
	t.Parallel()
	k := buildKit(t, store.NewShardedMemory(4))
	if err := k.keeper.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for n := range 6 * walkPage { // more than a page in each shard
		jti := fmt.Sprintf("%032x", n)
		want = append(want, jti)
		if err := k.store.Put(t.Context(), store.Record{
			JTI: jti, Blob: []byte("x"), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute), KeyID: "k", Client: "c", Family: "f", Subject: "s",
		}, store.Quota{Grants: 1 << 20, Bytes: 1 << 30}); err != nil {
			t.Fatal(err)
		}
	}
	all, pages := k.list(t, "limit=10")
	if diff := cmp.Diff(want, jtis(all)); diff != "" || pages < 8 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	if a := k.order(t, `{"issued_before":"now","dry_run":true}`); a.Found != len(want) || !a.Complete {
		t.Errorf("counted %d of %d (all: %v)", a.Found, len(want), a.Complete)
	}
	if a := k.order(t, `{"issued_before":"now"}`); len(a.Positions) != 4 {
		t.Errorf("positions %v, want one for each shard", a.Positions)
	}
}

func TestOneToken(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	jti := k.jti(t, token)
	grant := k.swap(t, token)
	handles := k.verified(t, k.jwt(t, token, "orders-api"), "orders-api").Handles
	got := k.inspect(t, jti)
	expires := grant.ExpiresAt().UTC()
	issued := expires.Add(-10 * time.Minute)
	want := listedGrant{
		JTI: jti, State: "live", Client: "shop", ClientHandle: handles.Client, Family: handles.Family, Subject: handles.Subject,
		KeyID: k.activeKey(t), IssuedAt: &issued, ExpiresAt: &expires, Bytes: got.Bytes,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Bytes == 0 {
		t.Errorf("live (-want +got):\n%s", diff)
	}
	k.order(t, `{"client":"shop"}`)
	want.State = "revoked"
	if diff := cmp.Diff(want, k.inspect(t, jti)); diff != "" {
		t.Errorf("revoked by its client (-want +got):\n%s", diff)
	}
	k.order(t, `{"jti":"`+jti+`"}`)
	if diff := cmp.Diff(listedGrant{JTI: jti, State: "revoked"}, k.inspect(t, jti)); diff != "" {
		t.Errorf("revoked by its jti (-want +got):\n%s", diff)
	}
	wantFault(t, "unknown", k.operate(t, "GET", "/v1/tokens/"+strings.Repeat("0", 32), ""), 404, "not_found")
	w := k.operate(t, "GET", "/v1/tokens/"+token, "")
	wantFault(t, "a reference", w, 400, "invalid_request")
	if strings.Contains(w.Body.String(), token) {
		t.Error("a reference comes back")
	}
}

// A client that is not configured any more is shown by its handle.
func TestForgottenClientsHaveHandles(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	later := buildKit(t, k.store, func(c *Config) { delete(c.Clients, "shop") })
	if err := later.keeper.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := later.inspect(t, k.jti(t, token)); g.Client != "" || g.ClientHandle == "" {
		t.Errorf("client %q, handle %q", g.Client, g.ClientHandle)
	}
	if all, _ := later.list(t, "client=shop"); len(all) != 1 {
		t.Errorf("%d tokens of a client that is gone, want 1", len(all))
	}
}

func TestQueriesAreReadStrictly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, query := range []string{
		"clinet=shop", "Client=shop", "client=shop&client=single", "client=", "client", "limit=0", "limit=1001", "limit=-1", "limit=x",
		"limit=1e2", "cursor=x", "cursor=1-0", "cursor=0", "cursor=00-0", "cursor=0-00", "cursor=0--1", "cursor=-1-0", "family=x",
		"subject_handle=x", "subject=%00", "%zz", "key=" + strings.Repeat("A", keyIDSize), "jti=" + strings.Repeat("0", 32), "issued_before=now",
	} {
		wantFault(t, query, k.operate(t, "GET", "/v1/tokens?"+query, ""), 400, "invalid_request")
	}
}

func TestEdgesAreShown(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if w := k.operate(t, "GET", "/v1/edges", ""); w.Code != 200 || w.Body.String() != `{"edges":[]}` {
		t.Errorf("nobody seen: %d %s", w.Code, w.Body)
	}
	pull := func(edge string, p store.Position) store.Position {
		pulled := k.store.Pull(t.Context(), []store.Position{p}, edge)
		if pulled[0].Err != nil {
			t.Fatal(pulled[0].Err)
		}
		return pulled[0].At
	}
	at := pull("edge-1", store.Position{})
	pull("edge-1", at)
	pull("edge-2", at)
	k.ended.beforeAnswer = func() {
		// edge-1 reads on, and with its next question says so; edge-2 does not.
		pull("edge-1", pull("edge-1", at))
	}
	a := k.order(t, `{"client":"shop"}`)
	for n := range a.Edges {
		if a.Edges[n].SeenMSAgo < 0 || a.Edges[n].SeenMSAgo > 60_000 {
			t.Errorf("%s was seen %d ms ago", a.Edges[n].Edge, a.Edges[n].SeenMSAgo)
		}
		a.Edges[n].SeenMSAgo = 0
	}
	yes, no := true, false
	if diff := cmp.Diff([]seenEdge{{Edge: "edge-1", Past: &yes}, {Edge: "edge-2", Past: &no}}, a.Edges); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	var list edgeList
	if err := json.Unmarshal(k.operate(t, "GET", "/v1/edges", "").Body.Bytes(), &list); err != nil || len(list.Edges) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if got := list.Edges[0]; len(got.Positions) != 1 || got.Positions[0] != a.Positions[0] || got.Past != nil {
		t.Errorf("edge-1: %+v, want it at %v", got, a.Positions)
	}
}

func TestPastCountsConcernedShards(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		seen, positions []uint64
		want            bool
	}{
		{[]uint64{5, 5}, []uint64{5, 0}, true},
		{[]uint64{5, 0}, []uint64{5, 0}, true},
		{[]uint64{4, 9}, []uint64{5, 0}, false},
		{[]uint64{9, 4}, []uint64{5, 5}, false},
		{[]uint64{9}, []uint64{5, 5}, false},
		{[]uint64{9}, []uint64{5, 0}, true},
	} {
		if got := isPast(revocation.Seen{Seq: row.seen}, row.positions); got != row.want {
			t.Errorf("seen at %v, revoked at %v: past %v, want %v", row.seen, row.positions, got, row.want)
		}
	}
}

// operateAs sends an order under another media type.
func (k *kit) operateAs(t testing.TB, kind, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/revocations", strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("X-Request-Id", "request-1")
	w := httptest.NewRecorder()
	operation(k.postRevocation).ServeHTTP(w, r)
	return w
}

// FuzzOrder: whatever is accepted names one thing, in the alphabet of its kind.
func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"client":"shop","dry_run":true,"reason":"x"}`))
	f.Add([]byte(`{"jti":"00112233445566778899aabbccddeeff","jti":"x"}`))
	f.Add([]byte(`{"a":{"b":[1,2,{}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, wrong := parseOrder(body)
		if wrong != nil {
			return
		}
		if !slices.Contains(orderNames(), o.by) || o.value == "" {
			t.Errorf("%q: by %q, value %q", body, o.by, o.value)
		}
		var plain map[string]any
		if err := json.Unmarshal(body, &plain); err != nil || plain[o.by] != o.value {
			t.Errorf("%q: value %q of %s, and encoding/json says %v (%v)", body, o.value, o.by, plain[o.by], err)
		}
	})
}
