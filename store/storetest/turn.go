package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

func turnTests() map[string]func(*testing.T, *hand) {
	return map[string]func(*testing.T, *hand){
		"a turn puts its grant and goes on to the next token":           turnGoesOn,
		"the same request is answered again until the next token turns": turnAnswersAgain,
		"any token that was used before is a replay, and writes none":   turnReplayed,
		"of concurrent turns exactly one puts its grant":                oneTurnWins,
		"a turn whose grant is refused leaves the family as it was":     turnIsAllOrNothing,
		"what is revoked turns no more":                                 turnAfterRevocation,
		"an answer is good for ten seconds":                             turnForgets,
		"a damaged family turns no more":                                turnDamaged,
		"what is no turn never reaches the store":                       hostileTurns,
	}
}

// family puts the record of a family whose first token is called first.
func (h *hand) family(shard int) store.Record {
	h.t.Helper()
	return h.put(shard, own, func(r *store.Record) { r.First, r.KeyID, r.Since = "first", store.NoKey, h.since(shard) })
}

// turn is a use of the token called presented; the grant that goes with it has a jti of its own.
func (h *hand) turn(family store.Record, presented, next string) (store.Turn, store.Record) {
	grant := recordIn(h, h.ShardOf(family.JTI))
	grant.Client, grant.Family, grant.Subject = family.Client, family.Family, family.Subject
	return store.Turn{Family: family.JTI, Presented: presented, Next: next, Request: "asked", Answer: []byte("answer to " + presented)}, grant
}

func (h *hand) wantTurned(what string, turn store.Turn, grant store.Record) {
	h.t.Helper()
	again, err := h.Turn(h.t.Context(), turn, grant, store.Quota{})
	if again != nil || err != nil {
		h.t.Errorf("%s: got %q, %v, want it turned", what, again, err)
	}
	h.wantLives(what, grant)
}

func (h *hand) wantAgain(what string, turn store.Turn, grant store.Record, answer string) {
	h.t.Helper()
	again, err := h.Turn(h.t.Context(), turn, grant, store.Quota{})
	if string(again) != answer || err != nil {
		h.t.Errorf("%s: got %q, %v, want %q", what, again, err, answer)
	}
	h.wantDead(what, grant)
}

func (h *hand) wantReplayed(what string, turn store.Turn, grant store.Record) {
	h.t.Helper()
	_, err := h.Turn(h.t.Context(), turn, grant, store.Quota{})
	wantErr(h.t, what, err, store.ErrReplayed)
	h.wantDead(what, grant)
}

func turnGoesOn(t *testing.T, h *hand) {
	family := h.family(0)
	for n, name := range []string{"first", "second", "third"} {
		turn, grant := h.turn(family, name, []string{"second", "third", "fourth"}[n])
		h.wantTurned(name, turn, grant)
	}
	h.wantLives("the family", family)
	got, err := h.Inspect(t.Context(), family.JTI)
	must(t, err)
	if !got.Refresh || got.KeyID != store.NoKey || got.Bytes != len(family.Blob) {
		t.Errorf("inspect of a family: got %+v, want it told apart from grants", got)
	}
	if all := h.list(0, 100); len(all) != 4 || !all[family.JTI].Refresh {
		t.Errorf("list: got %d records, want 4, the family among them: %+v", len(all), all)
	}
}

func turnAnswersAgain(t *testing.T, h *hand) {
	family := h.family(0)
	first, grant := h.turn(family, "first", "second")
	h.wantTurned("first", first, grant)
	for range 3 {
		retry, other := h.turn(family, "first", "another")
		retry.Answer = []byte("another")
		h.wantAgain("the same request", retry, other, "answer to first")
	}
	second, grant := h.turn(family, "second", "third")
	h.wantTurned("second", second, grant)
	retry, other := h.turn(family, "first", "another")
	h.wantReplayed("the same request, when the next token has been used", retry, other)
	if r, ok := h.Store.(Corrupter); ok { // the answer to the first is nowhere any more
		r.Corrupt(t, family.JTI, "turn", fmt.Sprintf("third first %d asked", time.Now().UnixMilli()))
		h.wantAgain("with the field turn of before", retry, other, "answer to second")
	}
}

func turnReplayed(t *testing.T, h *hand) {
	family := h.family(0)
	first, grant := h.turn(family, "first", "second")
	h.wantTurned("first", first, grant)
	for what, change := range map[string]func(*store.Turn){
		"another request":             func(t *store.Turn) { t.Request = "something-else" },
		"a token that was never made": func(t *store.Turn) { t.Presented = "unheard-of" },
		"no token":                    func(t *store.Turn) { t.Presented, t.Request = "-", "-" },
	} {
		turn, grant := h.turn(family, "first", "another")
		change(&turn)
		h.wantReplayed(what, turn, grant)
	}
	second, grant := h.turn(family, "second", "third")
	h.wantTurned("the token that may be used, after all that", second, grant)
}

func oneTurnWins(t *testing.T, h *hand) {
	for range 4 {
		family := h.family(0)
		var turned atomic.Int64
		answers, grants := make([]string, racers), make([]store.Record, racers)
		race(racers, func(i int) {
			turn, grant := h.turn(family, "first", fmt.Sprintf("next-%d", i))
			turn.Answer, grants[i] = fmt.Appendf(nil, "answer %d", i), grant
			again, err := h.Turn(t.Context(), turn, grant, store.Quota{})
			if err != nil {
				t.Errorf("turn %d: %v", i, err)
			}
			if again == nil {
				turned.Add(1)
				again = turn.Answer
			}
			answers[i] = string(again)
		})
		live := 0
		for i, grant := range grants {
			if _, err := h.Take(t.Context(), grant.JTI); err == nil {
				live++
				if want := fmt.Sprintf("answer %d", i); answers[0] != want {
					t.Errorf("racer 0 was answered %q, want %q as %d put its grant", answers[0], want, i)
				}
			}
			if answers[i] != answers[0] {
				t.Errorf("racer %d was answered %q, racer 0 %q", i, answers[i], answers[0])
			}
		}
		if turned.Load() != 1 || live != 1 {
			t.Errorf("%d of %d turned, %d grants are there; want 1 and 1", turned.Load(), racers, live)
		}
	}
}

func turnIsAllOrNothing(t *testing.T, h *hand) {
	family := h.family(0)
	turn, grant := h.turn(family, "first", "second")
	taken := h.put(0)
	for what, row := range map[string]struct {
		change func(*store.Record)
		quota  store.Quota
		want   error
	}{
		"quota":   {func(*store.Record) {}, store.Quota{Grants: -1}, store.ErrQuota},
		"exists":  {func(r *store.Record) { r.JTI = taken.JTI }, store.Quota{}, store.ErrExists},
		"revoked": {func(r *store.Record) { r.Since.Incarnation = "of another time"; r.Client = "ended" }, store.Quota{}, store.ErrRevoked},
	} {
		h.revoke(naming(store.KindClient, "ended"))
		refused := grant
		row.change(&refused)
		_, err := h.Turn(t.Context(), turn, refused, row.quota)
		wantErr(t, what, err, row.want)
	}
	refused := grant
	refused.IssuedAt, refused.ExpiresAt = grant.IssuedAt.Add(-time.Hour), grant.IssuedAt.Add(-time.Minute)
	_, err := h.Turn(t.Context(), turn, refused, store.Quota{})
	wantRefused(t, "expired", err)
	h.wantTurned("afterwards", turn, grant)
}

func turnAfterRevocation(t *testing.T, h *hand) {
	for _, kind := range []store.Kind{store.KindFamily, store.KindClient, store.KindSubject, store.KindBefore} {
		family := h.family(0)
		turn, grant := h.turn(family, "first", "second")
		h.revoke(naming(kind, kinds(family)[kind]))
		_, err := h.Turn(t.Context(), turn, grant, store.Quota{})
		wantErr(t, "turn after "+string(kind), err, store.ErrNotFound)
		h.wantDead(string(kind), grant)
	}
	family := h.family(0)
	turn, grant := h.turn(family, "first", "second")
	h.revoke(naming(store.KindToken, family.JTI))
	_, err := h.Turn(t.Context(), turn, grant, store.Quota{})
	wantErr(t, "turn of a family revoked by its jti", err, store.ErrNotFound)
	turn.Family = recordIn(h, 0).JTI
	_, err = h.Turn(t.Context(), turn, grant, store.Quota{})
	wantErr(t, "turn of what never was", err, store.ErrNotFound)
}

// turnForgets moves the moment of the last use, which a real Redis has no clock to wait for.
func turnForgets(t *testing.T, h *hand) {
	c, ok := h.Store.(Corrupter)
	if !ok {
		return
	}
	for ago, again := range map[time.Duration]bool{8 * time.Second: true, 10*time.Second + time.Millisecond: false, -time.Hour: false} {
		family := h.family(0)
		first, grant := h.turn(family, "first", "second")
		h.wantTurned("first", first, grant)
		c.Corrupt(t, family.JTI, "turn", fmt.Sprintf("second first %d asked", time.Now().Add(-ago).UnixMilli()))
		retry, other := h.turn(family, "first", "another")
		if again {
			h.wantAgain(ago.String()+" later", retry, other, "answer to first")
		} else {
			h.wantReplayed(ago.String()+" later", retry, other)
		}
	}
}

func turnDamaged(t *testing.T, h *hand) {
	c, ok := h.Store.(Corrupter)
	if !ok {
		return
	}
	now := time.Now().UnixMilli()
	for _, row := range []struct{ field, value string }{
		{"v", "2"},
		{"clear", "x"},
		{"turn", ""},
		{"turn", "first - 0"},
		{"turn", "first - x -"},
		{"turn", "fi:rst - 0 -"},
		{"turn", "first - 0 - more"},
		{"turn", "first - 99999999999999999 -"},
		{"answer", ""},
		{"answer", strings.Repeat("x", store.MaxAnswer+1)},
	} {
		family := h.family(0)
		turn, grant := h.turn(family, "first", "second")
		if row.field == "answer" {
			c.Corrupt(t, family.JTI, "turn", fmt.Sprintf("second first %d asked", now))
		}
		c.Corrupt(t, family.JTI, row.field, row.value)
		_, err := h.Turn(t.Context(), turn, grant, store.Quota{})
		wantErr(t, "turn with "+row.field+" = "+row.value[:min(len(row.value), 20)], err, store.ErrCorrupt)
		h.wantDead(row.field, grant)
	}
	grant := h.put(0)
	turn, other := h.turn(grant, "first", "second")
	_, err := h.Turn(t.Context(), turn, other, store.Quota{})
	wantErr(t, "turn of a grant", err, store.ErrCorrupt)
}

func hostileTurns(t *testing.T, h *hand) {
	family := h.family(0)
	refused := func(what string, change func(*store.Turn, *store.Record)) {
		t.Helper()
		turn, grant := h.turn(family, "first", "second")
		change(&turn, &grant)
		_, err := h.Turn(t.Context(), turn, grant, store.Quota{})
		wantRefused(t, what, err)
	}
	for _, name := range hostile() {
		shown := name[:min(len(name), 20)]
		refused("family "+shown, func(t *store.Turn, _ *store.Record) { t.Family = name })
		refused("presented "+shown, func(t *store.Turn, _ *store.Record) { t.Presented = name })
		refused("next "+shown, func(t *store.Turn, _ *store.Record) { t.Next = name })
		refused("request "+shown, func(t *store.Turn, _ *store.Record) { t.Request = name })
		refused("jti "+shown, func(_ *store.Turn, r *store.Record) { r.JTI = name })
		if name != "" {
			r := NewRecord()
			r.First = name
			wantRefused(t, "first "+shown, h.Put(t.Context(), r, store.Quota{}))
		}
	}
	refused("no answer", func(t *store.Turn, _ *store.Record) { t.Answer = nil })
	refused("a large answer", func(t *store.Turn, _ *store.Record) { t.Answer = bytes.Repeat([]byte("x"), store.MaxAnswer+1) })
	refused("a family for a grant", func(_ *store.Turn, r *store.Record) { r.First = "first" })
	if h.Shards() > 1 {
		refused("a grant of another shard", func(_ *store.Turn, r *store.Record) { r.JTI = recordIn(h, 1).JTI })
	}
	turn, grant := h.turn(family, "first", "second")
	h.wantTurned("afterwards", turn, grant)
}
