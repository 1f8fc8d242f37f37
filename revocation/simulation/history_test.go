package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// token is one that was minted. Times are since the beginning of the world.
type token struct {
	number                       int
	jti, raw                     string
	shard                        int
	client, family, subject, kid string
	issued                       time.Time     // iat
	begun                        time.Duration // when the issuer first looked at what the grant rests on
	done                         time.Duration // when the store had it; 0: nobody knows whether it has
}

// names reports whether a revocation says the token's name, whenever that was minted.
func (t *token) named(r store.Revocation) bool {
	switch r.Kind {
	case store.KindToken:
		return r.Name == t.jti
	case store.KindFamily:
		return r.Name == t.family
	case store.KindClient:
		return r.Name == t.client
	case store.KindSubject:
		return r.Name == t.subject
	case store.KindKey:
		return r.Name == t.kid
	default:
		moment, err := strconv.ParseInt(r.Name, 10, 64)
		return err == nil && t.issued.Unix() < moment
	}
}

// revoked is a call to revoke. answered is 0 while it has not been answered with success.
type revoked struct {
	store.Revocation
	by               string
	called, answered time.Duration
}

// covers reports whether the call promises something about the token: whatever had begun to be minted before it.
func (r *revoked) covers(t *token) bool { return t.named(r.Revocation) && t.begun < r.called }

// decision is one to let a token through: it may be sent until then.
type decision struct {
	token     *token
	edge      string
	source    string
	at, until time.Duration
}

// history is what happened. It belongs to the checker: nothing of it comes from the code that is simulated but answers.
type history struct {
	mu        sync.Mutex
	begin     time.Time
	tokens    []*token
	revokes   []*revoked
	decisions []decision
	tries     map[*token][]time.Duration // when an edge was asked to let it through
	story     []line
}

type line struct {
	at   time.Duration
	text string
}

func newHistory() *history { return &history{begin: time.Now(), tries: map[*token][]time.Duration{}} }

func (h *history) now() time.Duration { return time.Since(h.begin) }

// tell keeps a line of the story.
func (h *history) tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.story = append(h.story, line{h.now(), text})
}

func (h *history) add(t *token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.number = len(h.tokens)
	h.tokens = append(h.tokens, t)
}

func (h *history) minted(t *token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.done = h.now()
}

func (h *history) call(r store.Revocation, by string) *revoked {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &revoked{Revocation: r, by: by, called: h.now()}
	h.revokes = append(h.revokes, c)
	return c
}

func (h *history) answer(c *revoked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.answered = h.now()
}

func (h *history) tried(t *token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries[t] = append(h.tries[t], h.now())
}

func (h *history) decide(t *token, edge, source string, good time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decisions = append(h.decisions, decision{t, edge, source, h.now(), h.now() + good})
}

// choose is a token: one of which a revocation has just been asked or answered, or a young one, or any.
func (h *history) choose(r *rand.Rand) *token {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.tokens) == 0 {
		return nil
	}
	kind := r.IntN(10)
	if kind < 5 && len(h.revokes) > 0 {
		c := h.revokes[len(h.revokes)-1-r.IntN(min(4, len(h.revokes)))]
		if last := h.revokes[len(h.revokes)-1]; kind < 3 && last.answered == 0 {
			c = last
		}
		var of []*token
		for _, t := range h.tokens {
			if c.covers(t) {
				of = append(of, t)
			}
		}
		if len(of) > 0 {
			return of[r.IntN(len(of))]
		}
	}
	young := 0
	if kind < 9 {
		young = max(0, len(h.tokens)-12)
	}
	return h.tokens[young+r.IntN(len(h.tokens)-young)]
}

// about is the story of one token: all that names it, and whatever happened to everybody.
func (h *history) about(t *token) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := fmt.Sprintf("token-%d", t.number)
	lines := []line{{t.begun, fmt.Sprintf("%s begins to be minted: shard %d, %s, %s, %s, %s", name, t.shard, t.client, t.family, t.subject, t.kid)}}
	for _, l := range h.story {
		for _, other := range strings.Fields(l.text) {
			other = strings.Trim(other, ":,")
			if strings.HasPrefix(other, "token-") && other != name || // of another
				strings.HasPrefix(other, "family-") && other != t.family || strings.HasPrefix(other, "client-") && other != t.client ||
				strings.HasPrefix(other, "subject-") && other != t.subject || strings.HasPrefix(other, "key-") && other != t.kid {
				l.text = ""
			}
		}
		if l.text != "" {
			lines = append(lines, l)
		}
	}
	for _, c := range h.revokes {
		if c.covers(t) {
			lines = append(lines, line{c.called, fmt.Sprintf("CALLED: %s is asked to revoke %s %s", c.by, c.Kind, h.word(c.Name))})
			if c.answered > 0 {
				lines = append(lines, line{c.answered, fmt.Sprintf("ANSWERED: %s has revoked %s %s", c.by, c.Kind, h.word(c.Name))})
			}
		}
	}
	for _, d := range h.decisions {
		if d.token == t {
			lines = append(lines, line{d.at, fmt.Sprintf("%s lets %s through (%s), good until %v", d.edge, name, d.source, d.until)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "  %13v  %s\n", l.at, l.text)
	}
	return b.String()
}

// word is a name as people read it.
func (h *history) word(name string) string {
	for _, t := range h.tokens {
		if t.jti == name {
			return fmt.Sprintf("token-%d", t.number)
		}
	}
	return name
}

// lines is what reached the store and what happened to it, in order.
func (h *history) lines() []string {
	lines := make([]string, 0, len(h.story)+len(h.revokes))
	for _, l := range h.story {
		lines = append(lines, fmt.Sprintf("%13d %s", l.at, l.text))
	}
	for _, c := range h.revokes {
		lines = append(lines, fmt.Sprintf("%13d %s %s is answered at %d", c.called, c.Kind, h.word(c.Name), c.answered))
	}
	slices.Sort(lines)
	return lines
}

// agrees counts the decisions that both have.
func (h *history) agrees(other *history) (same int) {
	type key struct {
		token    int
		edge     string
		at, till time.Duration
	}
	made := map[key]bool{}
	for _, d := range other.decisions {
		made[key{d.token.number, d.edge, d.at, d.until}] = true
	}
	for _, d := range h.decisions {
		if made[key{d.token.number, d.edge, d.at, d.until}] {
			same++
		}
	}
	return same
}
