package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// fault is something that must not be.
type fault struct {
	token *token // nil: of no token
	text  string
}

// check compares a history with the promise: once the call has been answered, nothing that it covers is let through, and
// nothing that was let through before may still be sent.
func check(h *history) []fault {
	var faults []fault
	ends := h.ends()
	for _, d := range h.decisions {
		end, revoked := ends[d.token]
		switch {
		case revoked && d.at > end:
			faults = append(faults, fault{d.token, fmt.Sprintf("%s let token-%d through at %v, %v after its revocation was answered", d.edge, d.token.number, d.at, d.at-end)})
		case revoked && d.until > end:
			faults = append(faults, fault{d.token, fmt.Sprintf("%s let token-%d through at %v until %v, %v after its revocation was answered", d.edge, d.token.number, d.at, d.until, d.until-end)})
		}
	}
	return faults
}

// ends are the tokens whose revocation was answered, and when first.
func (h *history) ends() map[*token]time.Duration {
	ends := map[*token]time.Duration{}
	for _, c := range h.revokes {
		if c.answered == 0 {
			continue
		}
		for _, t := range h.tokens {
			if end, known := ends[t]; c.covers(t) && (!known || c.answered < end) {
				ends[t] = c.answered
			}
		}
	}
	return ends
}

// counts is how much was looked at.
type counts struct {
	seeds, revocations, answered, tokens, let, hits int
	after                                           int // tries of a token in the second after its revocation was answered
	between                                         int // decisions to let it through while the revoker waited
}

func (c *counts) add(h *history) {
	c.seeds++
	c.revocations += len(h.revokes)
	c.tokens += len(h.tokens)
	c.let += len(h.decisions)
	for _, r := range h.revokes {
		if r.answered > 0 {
			c.answered++
		}
	}
	ends := h.ends()
	for t, end := range ends {
		for _, at := range h.tries[t] {
			if at > end && at < end+time.Second {
				c.after++
			}
		}
	}
	for _, d := range h.decisions {
		if d.source == string(exchange.SourceHit) {
			c.hits++
		}
		if end, ok := ends[d.token]; ok && d.at > end-lease {
			c.between++
		}
	}
}

// tries a token on a host, for up to a while. An edge that is told nothing else is asked again.
func (e *edge) lets(t *token) error {
	var err error
	for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(7 * time.Millisecond) {
		p := e.process()
		var pass exchange.Pass
		var source exchange.Source
		if pass, source, err = p.exchange.Swap(context.Background(), t.raw, exchange.Leased); err == nil {
			var good time.Duration
			if good, err = pass.Decide(context.Background()); err == nil {
				e.w.history.decide(t, e.name, string(source), good)
				return nil
			}
		}
		if errors.Is(err, exchange.ErrInactive) {
			return err
		}
	}
	return err
}

// goesOn: when all is well, new tokens live on every edge, and a revocation is answered in time.
func (w *world) goesOn(r *rand.Rand) []fault {
	var faults []fault
	time.Sleep(quiet) // what was late is over, and so is a lease that was lowered
	for n, i := range w.issuers {
		t := w.draft(r)
		name := fmt.Sprintf("new-%d", n)
		t.client, t.family, t.subject = name, name, name
		if t.kid = w.goodKey(); t.kid == "" {
			continue
		}
		err := i.mintOne(t, r, 0)
		if err != nil {
			faults = append(faults, fault{t, fmt.Sprintf("%s cannot mint when all is well: %v", i.name, err)})
			continue
		}
		for _, e := range w.edges {
			if err := e.lets(t); err != nil {
				faults = append(faults, fault{t, fmt.Sprintf("%s refuses token-%d, which is new: %v", e.name, t.number, err)})
			}
		}
		begin := time.Now()
		if !i.revoke(r, revocation.Revocation{Kind: store.KindClient, Name: name, Until: time.Now().Add(life).Truncate(time.Second)}) {
			faults = append(faults, fault{t, fmt.Sprintf("%s cannot revoke when all is well", i.name)})
		}
		if took := time.Since(begin); took > 2*lease+100*time.Millisecond {
			faults = append(faults, fault{t, fmt.Sprintf("%s took %v to revoke when all is well", i.name, took)})
		}
	}
	return faults
}

// goodKey is one that nobody has asked to revoke. (An edge that has read of it believes so for ever, whatever the store
// has lost.)
func (w *world) goodKey() string {
	for k := range signingKeys {
		kid := fmt.Sprintf("key-%d", k)
		if !slices.ContainsFunc(w.history.revokes, func(c *revoked) bool { return c.Kind == store.KindKey && c.Name == kid }) {
			return kid
		}
	}
	return ""
}

// staysRevoked: what is revoked for ever is so for an edge that has just started, and for what is minted only now.
func (w *world) staysRevoked(r *rand.Rand) []fault {
	cold := &edge{host: w.host("edge-cold", r)}
	cold.turn(w.now())
	cold.start()
	defer func() { cold.process().stop() }()
	var faults []fault
	for _, c := range w.history.revokes {
		if c.answered == 0 || c.Kind != store.KindFamily && c.Kind != store.KindKey || w.forgotten(c) {
			continue
		}
		t := w.draft(r)
		if c.Kind == store.KindFamily {
			t.family = c.Name
		} else {
			t.kid = c.Name
		}
		if err := w.issuers[0].mintOne(t, r, 0); err != nil {
			continue
		}
		for _, e := range []*edge{w.edges[0], cold} {
			if e.lets(t) == nil {
				faults = append(faults, fault{t, fmt.Sprintf("%s lets token-%d through: minted now, after its %s %s was revoked for ever", e.name, t.number, c.Kind, c.Name)})
			}
		}
	}
	ends := w.history.ends()
	for _, t := range w.history.tokens {
		if _, ended := ends[t]; ended {
			_ = cold.lets(t) // the checker looks at what comes of it
		}
	}
	return faults
}

// forgotten reports whether the journal that knew of it was lost, and with it perhaps what the store had of it. Grants of
// before have ended then; what is minted later is all that "for ever" can still be about.
func (w *world) forgotten(c *revoked) bool {
	for _, i := range w.issuers {
		if i.name == c.by && i.lost > c.called {
			return true
		}
	}
	return false
}

// livesOn: nothing that nobody has asked to revoke has ended without need.
func (w *world) livesOn() []fault {
	w.mu.Lock()
	disaster := w.disaster
	w.mu.Unlock()
	var faults []fault
	for _, t := range w.history.tokens {
		if t.done == 0 || !w.plan.lossless() && t.begun <= disaster || w.asked(t) {
			continue
		}
		for _, e := range w.edges {
			if err := e.lets(t); err != nil {
				faults = append(faults, fault{t, fmt.Sprintf("%s refuses token-%d, which nobody has revoked: %v", e.name, t.number, err)})
			}
		}
	}
	return faults
}

// asked reports whether anybody has asked for anything that may have ended the token. "Everything before now" ends what
// is there when it is brought in, and that may be much later.
func (w *world) asked(t *token) bool {
	for _, c := range w.history.revokes {
		if t.named(c.Revocation) || c.Kind == store.KindBefore {
			return true
		}
	}
	return false
}
