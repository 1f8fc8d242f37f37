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

// turned is the ring that should follow r now, and whether it differs. It decides and does nothing else: no clock,
// no store. In one step a ring may
//
//   - raise the longest life of a token, before the first token with the longer life is signed; it is never
//     lowered, because tokens of the longer life may still be alive;
//   - rotate: next becomes active, active becomes retired, a new next is published;
//   - drop retired keys of which no token can be alive.
//
// A ring that was written back waits with all of it until it is not quiet any more.
//
// That next is always there makes an unplanned rotation as safe as a planned one: its successor is known everywhere.
func (r *Ring) turned(now time.Time, life, rotateEvery time.Duration) (*Ring, bool) {
	if now.Before(r.quiet) {
		return r, false
	}
	t := Ring{generation: r.generation + 1, beginning: r.beginning, life: max(r.life, life)}
	rotate := r.due(now, rotateEvery)
	changed := rotate || t.life != r.life
	var keys []Key
	for _, k := range r.keys {
		switch {
		case k.state == retired && !now.Before(k.until):
			changed = true
			continue
		case rotate && k.state == active:
			k.state, k.since = retired, now.Truncate(time.Second)
			k.until = k.since.Add(t.life + retireSkew)
		case rotate && k.state == next:
			k.state, k.since = active, now.Truncate(time.Second)
		}
		keys = append(keys, k)
	}
	if !changed {
		return r, false
	}
	if rotate {
		keys = append(keys, newKey(next, now))
	}
	return t.with(keys...), true
}

// due: the active key has worked its time, and its successor has been published for long enough.
func (r *Ring) due(now time.Time, rotateEvery time.Duration) bool {
	return rotateEvery > 0 &&
		!now.Before(r.in(active).since.Add(rotateEvery)) &&
		!now.Before(r.in(next).since.Add(publishFor))
}
