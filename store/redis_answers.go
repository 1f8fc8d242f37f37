package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// readPulled reads an answer of pull.lua.
func readPulled(r reply, after Position) (Pulled, error) {
	if r.err != nil {
		return Pulled{}, r.err
	}
	var n numbers
	v := r.values
	p := Pulled{Flush: v[0] == "1", At: Position{n.count(v[1]), v[2]}, Incarnation: v[4], Lease: n.lease(v[5])}
	if p.Flush {
		p.Keys = strings.Fields(v[6])
	}
	p.More = p.At.Seq != n.count(v[3])
	last := after
	for _, line := range n.lines(v[7], 5) {
		e := Entry{Position{n.count(line[0]), line[1]}, Revocation{Kind(line[2]), line[3], n.time(line[4])}}
		if e.Seq != last.Seq+1 {
			return Pulled{}, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
		}
		last = e.Position
		p.Entries = append(p.Entries, e)
	}
	if n.err != nil {
		return Pulled{}, n.err
	}
	if !p.Flush && last != p.At {
		return Pulled{}, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
	}
	return p, nil
}

// readRevoked adds up the answers of revoke.lua until the first that failed.
func readRevoked(replies []reply) (Revoked, error) {
	answer := Revoked{Found: make([]bool, len(replies))}
	for i, r := range replies {
		if r.err != nil {
			return answer, r.err
		}
		var n numbers
		v := r.values
		answer.Done, answer.At, answer.Sleep, answer.Found[i] = n.count(v[0]), Position{n.count(v[1]), v[2]}, n.millis(v[3]), v[4] == "1"
		if n.err != nil {
			return answer, n.err
		}
	}
	return answer, nil
}

// readShard reads an answer of shard.lua.
func readShard(v []string) (Shard, error) {
	var n numbers
	s := Shard{
		Replication: v[0], Open: v[1] == "1", Empty: v[2] == "1", At: Position{n.count(v[3]), v[4]}, Incarnation: v[5],
		Lease: n.millis(v[6]), Sleep: n.millis(v[7]), Journal: v[8], Done: n.count(v[9]), Votes: map[string]bool{},
	}
	for _, line := range n.lines(v[10], 2) {
		s.Votes[line[0]] = line[1] == "whole"
	}
	return s, n.err
}

// readListed reads lines of listed.lua.
func readListed(text string) ([]Listed, error) {
	var n numbers
	var all []Listed
	for _, line := range n.lines(text, 9) {
		all = append(all, Listed{
			JTI: line[0], IssuedAt: n.time(line[1]), ExpiresAt: n.time(line[2]), KeyID: line[3], Client: line[4],
			Family: line[5], Subject: line[6], Bytes: int(n.count(line[7])), Revoked: line[8] == "1",
		})
	}
	return all, n.err
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
	var n numbers
	var all []Seen
	for _, line := range n.lines(text, 3) {
		s := Seen{Edge: line[0], At: time.UnixMilli(int64(n.count(line[1])))}
		for seq := range strings.SplitSeq(line[2], ",") {
			s.Seq = append(s.Seq, n.count(seq))
		}
		all = append(all, s)
	}
	return all, n.err
}
