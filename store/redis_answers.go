package store

import (
	"strconv"
	"strings"
	"time"
)

// readTaken reads an answer of take.lua.
func readTaken(v []string, shard int) (Taken, error) {
	var w words
	t := Taken{Blob: []byte(v[0]), Seq: w.count(v[1]), Incarnation: w.name(v[2]), Shard: shard, Lease: w.lease(v[3])}
	if w.err != nil {
		return Taken{}, w.err
	}
	return t, nil
}

// readPulled reads an answer of pull.lua. A kind that this version does not know is an entry like others: whoever reads
// the log forgets everything then.
func readPulled(r reply, after Position) (Pulled, error) {
	if r.err != nil {
		return Pulled{}, r.err
	}
	var w words
	v := r.values
	p := Pulled{Flush: v[0] == "1", At: Position{w.count(v[1]), w.name(v[2])}, Incarnation: w.name(v[4]), Lease: w.lease(v[5])}
	p.More = p.At.Seq != w.count(v[3])
	for kid := range strings.FieldsSeq(v[6]) {
		p.Keys = append(p.Keys, w.name(kid))
	}
	for _, line := range w.lines(v[7], 5) {
		p.Entries = append(p.Entries, Entry{Position{w.count(line[0]), w.name(line[1])}, Revocation{Kind(line[2]), w.name(line[3]), w.time(line[4])}})
	}
	if w.err == nil && !p.follows(after) {
		w.fail(errDisordered)
	}
	if w.err != nil {
		return Pulled{}, w.err
	}
	return p, nil
}

// follows reports whether p leaves out nothing after a position, and gets on; or is a flush and no more.
func (p Pulled) follows(last Position) bool {
	if p.Flush {
		return len(p.Entries) == 0 && !p.More
	}
	for _, e := range p.Entries {
		if e.Seq != last.Seq+1 {
			return false
		}
		last = e.Position
	}
	return last == p.At && len(p.Keys) == 0 && (len(p.Entries) > 0 || !p.More)
}

// readRevoked adds up the answers of revoke.lua until the first that failed.
func readRevoked(replies []reply) (Revoked, error) {
	answer := Revoked{Found: make([]bool, len(replies))}
	for i, r := range replies {
		if r.err != nil {
			return answer, r.err
		}
		var w words
		v := r.values
		answer.Done, answer.At, answer.Sleep, answer.Found[i] = w.count(v[0]), Position{w.count(v[1]), v[2]}, w.millis(v[3]), v[4] == "1"
		if w.err != nil {
			return answer, w.err
		}
	}
	return answer, nil
}

// readShard reads an answer of shard.lua.
func readShard(v []string) (Shard, error) {
	var w words
	s := Shard{
		Replication: v[0], Open: v[1] == "1", Empty: v[2] == "1", At: Position{w.count(v[3]), v[4]}, Incarnation: v[5],
		Lease: w.millis(v[6]), Sleep: w.millis(v[7]), Journal: v[8], Done: w.count(v[9]), Votes: map[string]bool{},
	}
	s.Now = w.dated(time.UnixMilli(int64(w.count(v[11]))))
	s.LeaseID = v[12]
	for _, line := range w.lines(v[10], 2) {
		s.Votes[line[0]] = line[1] == "whole"
	}
	return s, w.err
}

// readList reads an answer of list.lua.
func readList(v []string) (found []Listed, next uint64, err error) {
	var w words
	next, err = strconv.ParseUint(v[0], 10, 64) // SCAN's cursors have all bits
	if err != nil {
		w.fail(errDisordered)
	}
	found = w.listed(v[1])
	return found, next, w.err
}

// readInspected reads an answer of inspect.lua.
func readInspected(v []string, jti string) (Listed, error) {
	var w words
	all := w.listed(v[0])
	if w.err == nil && (len(all) != 1 || all[0].JTI != jti) {
		w.fail(errDisordered)
	}
	if w.err != nil {
		return Listed{}, w.err
	}
	return all[0], nil
}

// listed reads lines of listed.lua.
func (w *words) listed(text string) (all []Listed) {
	for _, line := range w.lines(text, 10) {
		all = append(all, Listed{
			JTI: w.name(line[0]), IssuedAt: w.time(line[1]), ExpiresAt: w.time(line[2]), KeyID: w.name(line[3]), Client: w.name(line[4]),
			Family: w.name(line[5]), Subject: w.name(line[6]), Bytes: int(w.count(line[7])), Revoked: line[8] == "1", Refresh: line[9] == "1",
		})
	}
	return all
}

// seenText is what an edge leaves in Redis: milliseconds, and where it stands in each shard.
func seenText(now time.Time, after []Position) string {
	text := strconv.FormatInt(now.UnixMilli(), 10)
	for i, p := range after {
		text += []string{" ", ","}[min(i, 1)] + formatCount(p.Seq)
	}
	return text
}

// readSeen reads lines of seen.lua.
func readSeen(text string) ([]Seen, error) {
	var w words
	var all []Seen
	for _, line := range w.lines(text, 3) {
		s := Seen{Edge: w.name(line[0]), At: w.dated(time.UnixMilli(int64(w.count(line[1]))))}
		for seq := range strings.SplitSeq(line[2], ",") {
			s.Seq = append(s.Seq, w.count(seq))
		}
		all = append(all, s)
	}
	return all, w.err
}
