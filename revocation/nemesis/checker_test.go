package nemesis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// leastProbes is how often a token must have been tried in the second after its revocation was answered: a promise that
// nobody tested has not been kept.
const leastProbes = 20

// verdict is what the checker found.
type verdict struct {
	faults   []string        // each names a token
	checked  int             // tokens whose revocation was answered, and that were tried often enough after it
	untried  []string        // those that were not, as when the machine stood still; more than one in a hundred are a fault
	late     []time.Duration // arrivals after the answer, decided before it: allowed (A5), and reported
	decided  int             // decisions to let through that were looked at
	unproved int             // revocations that were never answered with success: no promise was made
}

// check compares a history with the promise.
func check(h *history) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	var v verdict
	ends := h.ends()
	for _, r := range h.revokes {
		if r.answered == 0 {
			v.unproved++
		}
	}
	probes := map[string]int{}
	for _, p := range h.probes {
		if end, ok := ends[p.jti]; ok && p.sent >= end && p.sent.since(end) <= time.Second {
			probes[p.jti]++
		}
	}
	for _, i := range h.issues {
		if _, ok := ends[i.jti]; !ok {
			continue
		}
		if probes[i.jti] < leastProbes {
			v.untried = append(v.untried, i.jti)
			continue
		}
		v.checked++
	}
	if 100*len(v.untried) > v.checked+len(v.untried) {
		v.faults = append(v.faults, fmt.Sprintf("fewer than %d probes in the second after the answer for %d tokens, of %d: such as %s",
			leastProbes, len(v.untried), v.checked+len(v.untried), v.untried[0]))
	}
	v.decided = len(h.decisions)
	for _, d := range h.decisions {
		if end, ok := ends[d.jti]; ok && d.at > end {
			v.faults = append(v.faults, fmt.Sprintf("token %s: %s decided to let it through %v after its revocation was answered", d.jti, d.who, d.at.since(end)))
		}
	}
	for _, a := range h.arrivals {
		if end, ok := ends[a.jti]; ok && a.at > end {
			v.late = append(v.late, a.at.since(end))
		}
	}
	slices.Sort(v.late)
	return v
}

// ends says for each token when the first answered revocation that covers it was answered. A revocation of more than one
// token covers what was in somebody's hands when it was asked for.
func (h *history) ends() map[string]moment {
	type target struct{ kind, name string }
	by := map[target][]revoked{}
	for _, r := range h.revokes {
		if r.answered != 0 {
			by[target{r.kind, r.name}] = append(by[target{r.kind, r.name}], r)
		}
	}
	ends := map[string]moment{}
	for _, i := range h.issues {
		for _, t := range []target{{"token", i.jti}, {"client", i.client}, {"all", ""}} {
			for _, r := range by[t] {
				covers := t.kind == "token" || i.at < r.called
				if end, ok := ends[i.jti]; covers && (!ok || r.answered < end) {
					ends[i.jti] = r.answered
				}
			}
		}
	}
	return ends
}

// TestChecker plants what the checker has to find, and what it must not take for a fault.
func TestChecker(t *testing.T) {
	const second = moment(time.Second)
	kept := func() *history {
		h := &history{
			issues:    []issued{{"a", "shop", 1 * second}, {"b", "shop", 20 * second}},
			revokes:   []revoked{{"token", "a", 10 * second, 11 * second}},
			decisions: []seen{{"a", 10 * second, "edge-1"}, {"b", 30 * second, "edge-1"}},
			arrivals:  []seen{{"a", 10 * second, "orders"}},
		}
		for i := range leastProbes {
			h.probes = append(h.probes, probe{"a", 11*second + moment(i)*second/100, 401})
		}
		return h
	}
	for name, test := range map[string]struct {
		bend   func(h *history)
		faults int
	}{
		"the promise was kept": {func(*history) {}, 0},
		"one decision a nanosecond late": {func(h *history) {
			h.decisions = append(h.decisions, seen{"a", 11*second + 1, "edge-2"})
		}, 1},
		"a decision at the very answer": {func(h *history) {
			h.decisions = append(h.decisions, seen{"a", 11 * second, "edge-2"})
		}, 0},
		"an answer that was no success promises nothing": {func(h *history) {
			h.revokes[0].answered = 0
			h.decisions = append(h.decisions, seen{"a", 40 * second, "edge-2"})
		}, 0},
		"the earlier of two answers counts": {func(h *history) {
			h.revokes = append(h.revokes, revoked{"client", "shop", 12 * second, 13 * second})
			h.decisions = append(h.decisions, seen{"a", 12 * second, "edge-2"})
		}, 1},
		"a client's revocation covers what it held": {func(h *history) {
			h.revokes = []revoked{{"client", "shop", 10 * second, 11 * second}}
			h.decisions = append(h.decisions, seen{"a", 12 * second, "edge-2"})
		}, 1},
		"and nothing that came later": {func(h *history) {
			h.revokes = []revoked{{"client", "shop", 10 * second, 11 * second}}
			h.decisions = append(h.decisions, seen{"b", 25 * second, "edge-2"})
		}, 0},
		"another client's does not": {func(h *history) {
			h.revokes = append(h.revokes, revoked{"client", "bank", 21 * second, 22 * second})
		}, 0},
		"everything covers every client": {func(h *history) {
			h.revokes = append(h.revokes, revoked{"all", "", 25 * second, 26 * second})
		}, 2}, // b was let through at 30, and nobody tried it
		"too few probes": {func(h *history) { h.probes = h.probes[1:] }, 1},
		"a late decision counts also where there are too few probes": {func(h *history) {
			h.probes = nil
			h.decisions = append(h.decisions, seen{"a", 12 * second, "edge-2"})
		}, 2},
		"probes that came too late count for nothing": {func(h *history) {
			for i := range h.probes {
				h.probes[i].sent += 2 * second
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := kept()
			test.bend(h)
			if v := check(h); len(v.faults) != test.faults {
				t.Errorf("got faults %q, want %d", v.faults, test.faults)
			}
		})
	}
	h := kept()
	h.arrivals = append(h.arrivals, seen{"a", 11*second + 5, "orders"})
	if v := check(h); len(v.late) != 1 || v.late[0] != 5 || len(v.faults) != 0 || v.checked != 1 {
		t.Errorf("an arrival after the answer: got %+v, want it reported and no fault", v)
	}
}
