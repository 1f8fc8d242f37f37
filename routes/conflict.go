package routes

// maxConflicts bounds what New reports: two generations of a table pasted into one file conflict thousands of times.
const maxConflicts = 20

// conflicts finds the pairs of rules that both match some request while neither is more specific. It walks each host's trie against
// itself, so that it visits only pairs of places that some path reaches both of: a shared prefix is compared once, not once
// for each pair of rules behind it.
func (t *Table) conflicts() []error {
	var c checker
	seen := map[string]bool{}
	for _, r := range t.routes { // in order, for messages that do not depend on chance
		p, err := parse(r.Match)
		if err != nil || seen[p.host] {
			continue
		}
		seen[p.host] = true
		c.pair(t.hosts[p.host], t.hosts[p.host])
	}
	return c.found
}

type checker struct{ found []error }

// pair compares what ends at or below two places that one path can both reach.
func (c *checker) pair(a, b *node) {
	if a.next&b.next == 0 || len(c.found) >= maxConflicts {
		return
	}
	c.cross(a.ends, b.ends, a == b)
	c.cross(a.slash, b.slash, a == b)
	c.cross(a.rest, b.rest, a == b)
	c.shadow(a, b)
	if a != b {
		c.shadow(b, a)
	}
	for _, key := range a.keys {
		if twin := b.literals[key]; twin != nil {
			c.pair(a.literals[key], twin)
		}
		if b.wild != nil {
			c.pair(a.literals[key], b.wild)
		}
	}
	if a.wild != nil && a != b {
		for _, key := range b.keys {
			c.pair(a.wild, b.literals[key])
		}
	}
	if a.wild != nil && b.wild != nil {
		c.pair(a.wild, b.wild)
	}
}

// shadow compares the {rest...} of a with everything longer at b, and, as a bare prefix, with the rules that end at b. At one and the same
// place those were written for that very path and win.
func (c *checker) shadow(a, b *node) {
	if len(a.rest) == 0 {
		return
	}
	if a != b {
		c.cross(a.rest, b.ends, false)
	}
	b.below(func(r rule) { c.cross(a.rest, []rule{r}, false) })
}

func (c *checker) cross(as, bs []rule, same bool) {
	for i, a := range as {
		if same {
			bs = as[i+1:]
		}
		for _, b := range bs {
			if a.pattern.ties(b.pattern) && len(c.found) < maxConflicts {
				c.found = append(c.found, newConflict(a, b))
			}
		}
	}
}

// ties reports whether two patterns, which some path matches both, leave open which of them governs a request: they match the same
// requests, or each matches one that the other does not.
func (p *pattern) ties(q *pattern) bool {
	if !p.meets(q) {
		return false
	}
	pMore, qMore := p.general(q)
	return pMore == qMore
}

// meets reports whether some method fits both.
func (p *pattern) meets(q *pattern) bool {
	return p.method == q.method || p.method == "" || q.method == "" ||
		p.method == "GET" && q.method == "HEAD" || p.method == "HEAD" && q.method == "GET"
}

// general reports whether each pattern matches requests that the other does not. A {rest...} that meets the very end of the other is
// there as its bare prefix, which matches nothing more.
func (p *pattern) general(q *pattern) (pMore, qMore bool) {
	if p.method != q.method {
		pMore = p.method == "" || p.method == "GET" && q.method == "HEAD"
		qMore = !pMore
	}
	for i := 0; ; i++ {
		switch a, b := p.at(i), q.at(i); {
		case a.kind >= rest && b.kind >= rest && (a.kind == b.kind || a.kind == none || b.kind == none):
			return pMore, qMore
		case a.kind == rest:
			return true, qMore
		case b.kind == rest:
			return pMore, true
		case a.kind == wild && b.kind == literal:
			pMore = true
		case a.kind == literal && b.kind == wild:
			qMore = true
		}
	}
}

// at is the i-th segment; behind the last a {rest...} goes on, and none stands behind the others.
func (p *pattern) at(i int) segment {
	last := len(p.segments) - 1
	if i <= last {
		return p.segments[i]
	}
	if p.segments[last].kind == rest {
		return p.segments[last]
	}
	return segment{kind: none}
}
