package keyring

import "time"

// The clock of a rotation. A verifier keeps a key set for at most a minute: the set says so itself (max-age), and
// package verifier asks again at least that often.
const (
	// publishFor is how long a next key is published before it signs: two such caches one after the other (a
	// verifier may stand behind a proxy that keeps the set as well), the time in which other issuers follow, and
	// clocks that differ by ringLease, with room to spare.
	publishFor = 5 * time.Minute

	// ringLease is how long an issuer signs by a ring that it could not confirm in the store. After a rotation that
	// it does not hear of it goes on signing with the old key for at most this long.
	ringLease = time.Minute

	// retireSkew is kept on top of the longest life of a token: ringLease, clocks that differ, leeway of verifiers.
	retireSkew = 3 * time.Minute
)

// plan is what an issuer wants of the ring: what its configuration says, what is listed outside, what an operator asks.
type plan struct {
	life        time.Duration // of its longest-lived token
	rotateEvery time.Duration // 0: only when something else asks for it
	algorithm   string        // of keys that are generated
	outside     bool          // keys live outside: none is generated
	listed      []Key         // those, in the order in which they are to sign
	force       bool          // an operator wants the next key to sign, whatever the hour
}

// turned is the ring that should follow r now, and whether it differs. It decides and does nothing else: no clock,
// no store. In one step a ring may
//
//   - raise the longest life of a token, before the first token with the longer life is signed; it is never
//     lowered, because tokens of the longer life may still be alive;
//   - rotate: next becomes active, active becomes retired, a new next is published;
//   - put another next key in the place of one that is not wanted any more: of another algorithm, or from elsewhere;
//   - drop retired keys of which no token can be alive.
//
// A ring that was written back waits with all of it until it is not quiet any more.
//
// That next is always there makes an unplanned rotation as safe as a planned one: its successor is known everywhere.
func (r *Ring) turned(now time.Time, p plan) (*Ring, bool) {
	if now.Before(r.quiet) {
		return r, false
	}
	t := Ring{generation: r.generation + 1, beginning: r.beginning, life: max(r.life, p.life), gone: r.gone}
	rotate, replace := r.due(now, p), r.replaces(now, p)
	changed := rotate || replace || t.life != r.life
	var keys []Key
	for _, k := range r.keys {
		switch {
		case k.state == retired && !now.Before(k.until):
			changed = true
			t.leave(k)
			continue
		case rotate && k.state == active:
			k = k.in(retired, now)
			k.until = k.since.Add(t.life + retireSkew)
		case rotate && k.state == next:
			k = k.in(active, now)
		case replace && !rotate && k.state == next:
			continue
		}
		keys = append(keys, k)
	}
	if !changed {
		return r, false
	}
	if rotate || replace {
		keys = p.follow(t.with(keys...), now)
	}
	return t.with(keys...), true
}

// due: the next key has been published for long enough, and one of these: the active key has worked its time, an
// operator says so, a key of another algorithm is wanted, or the list of outside keys begins with it.
func (r *Ring) due(now time.Time, p plan) bool {
	n, a := r.in(next), r.in(active)
	if n == nil || now.Before(n.since.Add(publishFor)) || p.outside && !p.lists(n.id) {
		return false
	}
	worked := p.rotateEvery > 0 && !now.Before(a.since.Add(p.rotateEvery))
	switch {
	case p.force:
		return true
	case p.outside:
		return worked || p.usable(r)[0].id == n.id
	case a.outside:
		return false // an issuer that was not told of outside keys must not end the use of one
	}
	return worked || a.algorithm != p.algorithm && n.algorithm == p.algorithm
}

// replaces: another next key is wanted than the ring has. One that has just come is left for a while, so that two
// issuers that were told different things do not write over each other at every look.
func (r *Ring) replaces(now time.Time, p plan) bool {
	n := r.in(next)
	if n != nil && now.Before(n.since.Add(publishFor)) {
		return false
	}
	if !p.outside {
		return n == nil || n.outside || n.algorithm != p.algorithm
	}
	wanted := p.successor(r)
	return wanted != nil && (n == nil || n.id != wanted.id)
}

// follow adds a next key to a ring that has none.
func (p plan) follow(r *Ring, now time.Time) []Key {
	if !p.outside {
		return append(r.keys, p.generated(next, now))
	}
	if s := p.successor(r); s != nil {
		return append(r.keys, s.in(next, now))
	}
	return r.keys
}

// generated is a new key that the ring itself keeps.
func (p plan) generated(s State, now time.Time) Key {
	private := generate(p.algorithm)
	k := Key{algorithm: p.algorithm, public: private.Public(), private: hide(private)}
	k.id = thumbprint(k.public)
	return k.in(s, now)
}
