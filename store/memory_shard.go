package store

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"
)

// memoryShard holds what Redis holds under the keys of one shard. Memory.mu guards it.
type memoryShard struct {
	head    *head // nil: nobody has opened the shard since it was made or emptied
	records map[string]grant
	ledgers map[string]ledger // by client handle
	ends    endings           // one for each record put, also for those revoked meanwhile

	floors   map[floor]uint64 // what was born before them is dead
	before   int64            // so is what was issued before it; unix seconds
	keys     []string         // revoked signing keys
	tombs    map[string]int64 // jti → until, unix seconds
	names    map[string]int64 // taken ones → until, unix seconds
	log      []link           // oldest first
	journals map[string]enrolment
	votes    map[string]ballot
}

type head struct {
	at           Position
	began        uint64 // where this shard's count began: the first opening of an empty shard
	incarnation  string
	opened       string // replication id under which the issuers have opened it
	since        int64  // when they have; unix seconds
	lease, sleep time.Duration
	leaseID      string
}

// floor names one; that of everything is of KindBefore, without a name.
type floor struct {
	kind Kind
	name string
}

var everything = floor{kind: KindBefore}

// link is an entry and the id of the one before it: whoever has read that needs it no more to go on.
type link struct {
	Entry
	before string
}

type enrolment struct {
	journal string
	done    uint64
	at      int64 // when it was last written; unix seconds
}

type ballot struct {
	replication string
	whole       bool
}

func newMemoryShard() *memoryShard {
	return &memoryShard{
		records: map[string]grant{}, ledgers: map[string]ledger{}, floors: map[floor]uint64{}, tombs: map[string]int64{}, names: map[string]int64{},
		journals: map[string]enrolment{}, votes: map[string]ballot{},
	}
}

// dead reports whether a revocation after its birth names g.
func (s *memoryShard) dead(g grant) bool {
	if g.issued < s.before {
		return true
	}
	return slices.ContainsFunc([]floor{everything, {KindClient, g.client}, {KindFamily, g.family}, {KindSubject, g.subject}, {KindKey, g.keyID}},
		func(f floor) bool { return s.floors[f] > g.born })
}

// admits reports whether nothing that was revoked after r.Since names r. A family and a key are revoked for what comes
// later, too.
func (s *memoryShard) admits(r Record, now time.Time) bool {
	if s.tombs[r.JTI] > now.Unix() || r.IssuedAt.Unix() < s.before ||
		s.floors[floor{KindFamily, r.Family}] > 0 || s.floors[floor{KindKey, r.KeyID}] > 0 {
		return false
	}
	var since uint64 // of another incarnation: nobody knows what it has seen
	switch r.Since.Incarnation {
	case s.head.incarnation:
		since = r.Since.Seq
	case "":
		since = s.head.began
	}
	return max(s.floors[everything], s.floors[floor{KindClient, r.Client}], s.floors[floor{KindSubject, r.Subject}]) <= since
}

// pull reads the log after a position. Whatever is not exactly as it was written is a history of somebody else.
func (s *memoryShard) pull(after Position) Pulled {
	p := Pulled{At: s.head.at, Lease: s.head.lease, Incarnation: s.head.incarnation}
	if after == p.At {
		return p
	}
	i, there := slices.BinarySearchFunc(s.log, after.Seq+1, func(l link, seq uint64) int { return cmp.Compare(l.Seq, seq) })
	missed := p.At.Seq - after.Seq // wraps round for a position ahead of the head: that is too far, too
	n := int(min(missed, page))
	if !there || s.log[i].before != after.ID || missed > tooFar || len(s.log)-i < n || s.log[i+n-1].Seq != after.Seq+uint64(n) {
		p.Flush, p.Keys = true, slices.Clone(s.keys)
		return p
	}
	for _, l := range s.log[i : i+n] {
		p.Entries = append(p.Entries, l.Entry)
	}
	p.At, p.More = s.log[i+n-1].Position, missed > page
	return p
}

// revoke makes one revocation: it ends the record, or raises the floor, and tells the log.
func (s *memoryShard) revoke(r Revocation, now time.Time) (found bool) {
	seq := s.head.at.Seq + 1
	r.Until = later(r.Until, now.Add(keptFor))
	switch r.Kind {
	case KindToken:
		if found = s.end(r.Name, now); !found && s.tombs[r.Name] > now.Unix() { // revoked before: the log need not grow
			s.tombs[r.Name] = max(s.tombs[r.Name], r.Until.Unix())
			return false
		}
		s.tombs[r.Name] = r.Until.Unix()
	case KindBefore:
		if t := beforeUnix(r.Name); t >= now.Unix()-clockSlack {
			s.floors[everything] = seq
		} else {
			s.before = max(s.before, t+clockSlack)
		}
	case KindKey:
		if !slices.Contains(s.keys, r.Name) {
			s.keys = append(s.keys, r.Name)
		}
		fallthrough
	default:
		s.floors[floor{r.Kind, r.Name}] = seq
	}
	s.append(r)
	s.trim(now)
	return found
}

// end deletes a record and gives its bytes back to its client.
func (s *memoryShard) end(jti string, now time.Time) (found bool) {
	g, ok := s.records[jti]
	if !ok {
		return false
	}
	delete(s.records, jti)
	s.ledgers[g.client].giveBack(g.end, g.usage().bytes)
	return g.expires > now.Unix()
}

func (s *memoryShard) append(r Revocation) {
	r.Until = time.Unix(r.Until.Unix(), 0)
	before := s.head.at.ID
	s.head.at = Position{s.head.at.Seq + 1, rand.Text()}
	s.log = append(s.log, link{Entry{s.head.at, r}, before})
}

// trim drops the oldest entries that can name nothing alive any more, and the floors that they set, unless raised since;
// those of keys, of everything and of time stay.
func (s *memoryShard) trim(now time.Time) {
	for range trimSteps {
		if len(s.log) == 0 || s.log[0].Until.Unix() > now.Unix() {
			return
		}
		e := s.log[0]
		s.log = s.log[1:]
		if f := (floor{e.Kind, e.Name}); e.Kind != KindKey && s.floors[f] == e.Seq {
			delete(s.floors, f)
		}
		if until, ok := s.tombs[e.Name]; ok && e.Kind == KindToken && until <= now.Unix() {
			delete(s.tombs, e.Name)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
