package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// closed is the error of a shard that may not be spoken for here and now; nil: it is open.
func (m *Memory) closed(s *memoryShard) error {
	if m.replica || s.head == nil || s.head.opened != m.replication {
		return errClosed()
	}
	return nil
}

// fenced is closed for a caller who may also name the replication id on which he insists.
func (m *Memory) fenced(s *memoryShard, fence string) error {
	if fence == "" {
		return m.closed(s)
	}
	if m.replica || fence != m.replication {
		return errClosed()
	}
	return nil
}

// inOpen runs do on a shard that is open, under the lock.
func (m *Memory) inOpen(ctx context.Context, shard int, checked error, do func(*memoryShard) error) error {
	if err := ready(ctx, checked, checkShard(shard, len(m.shards))); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.closed(m.shards[shard]); err != nil {
		return err
	}
	return do(m.shards[shard])
}

// Shard reads the state of a shard, open or not. ErrUnavailable; with ErrClosed if this is no master.
func (m *Memory) Shard(ctx context.Context, shard int, issuer string) (Shard, error) {
	if err := ready(ctx, checkShard(shard, len(m.shards)), checkName("issuer", issuer)); err != nil {
		return Shard{}, fmt.Errorf("shard: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.replica {
		return Shard{}, fmt.Errorf("shard: %w", errClosed())
	}
	s := m.shards[shard]
	mine := s.journals[issuer]
	answer := Shard{
		Replication: m.replication, Open: m.closed(s) == nil, Empty: s.head == nil,
		Journal: mine.journal, Done: mine.done, Now: time.Now(), Votes: map[string]bool{},
	}
	if h := s.head; h != nil {
		answer.At, answer.Incarnation, answer.Lease, answer.Sleep, answer.LeaseID = h.at, h.incarnation, h.lease, h.sleep, h.leaseID
	}
	for voter, b := range s.votes {
		if b.replication == m.replication {
			answer.Votes[voter] = b.whole
		}
	}
	return answer, nil
}

// Enrol makes the author's journal the one that vouches for this issuer, from an open shard on, instead of the one that the
// caller has seen there, if any; Done begins at 0. A journal that is enrolled already stays so, with its Done. ErrConflict:
// it is another by now. ErrUnavailable, with ErrClosed if the shard is.
func (m *Memory) Enrol(ctx context.Context, shard int, by Author, insteadOf string) error {
	err := m.inOpen(ctx, shard, by.check(), func(s *memoryShard) error {
		was := s.journals[by.Issuer].journal
		if was != by.Journal && was != insteadOf {
			return ErrConflict
		}
		if was != by.Journal {
			s.journals[by.Issuer] = enrolment{journal: by.Journal, at: time.Now().Unix()}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	return nil
}

// Vote tells a closed shard whether all that the author's journal knows is in it. It counts under that replication id
// only. ErrConflict: the store has another by now, the shard is open, or whole is said of a journal that is not enrolled.
func (m *Memory) Vote(ctx context.Context, shard int, by Author, replication string, whole bool) error {
	if err := ready(ctx, checkShard(shard, len(m.shards)), by.check(), checkName("replication id", replication)); err != nil {
		return fmt.Errorf("vote: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shards[shard]
	if m.replica || replication != m.replication || m.closed(s) == nil || whole && s.journals[by.Issuer].journal != by.Journal {
		return fmt.Errorf("vote: %w", ErrConflict)
	}
	s.votes[by.Issuer] = ballot{replication, whole}
	return nil
}

// Open opens a closed shard in one step, under a new incarnation, and reports whether earlier grants had to end.
// ErrConflict: the node is another, the shard is open already, or votes are missing.
func (m *Memory) Open(ctx context.Context, shard int, o Opening) (ended bool, err error) {
	if err := ready(ctx, checkShard(shard, len(m.shards)), o.check()); err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shards[shard]
	if m.replica || o.Replication != m.replication || m.closed(s) == nil {
		return false, fmt.Errorf("open: %w", ErrConflict)
	}
	now := time.Now()
	voted, whole := s.count(o, now)
	if s.head != nil && !voted && !o.Missing {
		return false, fmt.Errorf("open: %w", ErrConflict)
	}
	ended = s.head == nil || !whole
	s.open(o, ended, now)
	return ended, nil
}

// count reports whether every issuer has voted, and whether all have and say that nothing is missing, and nobody else has
// written lately.
func (s *memoryShard) count(o Opening, now time.Time) (voted, whole bool) {
	voted, whole = true, true
	for _, issuer := range o.Issuers {
		b := s.votes[issuer]
		counts := b.replication == o.Replication
		voted, whole = voted && counts, whole && counts && b.whole
	}
	for issuer, e := range s.journals {
		whole = whole && (slices.Contains(o.Issuers, issuer) || o.Life > 0 && now.Unix()-e.at > seconds(o.Life))
	}
	return voted, whole
}

// open opens. A shard that is empty begins to count at the clock's microseconds: above every count before it, so that
// whatever was left of another time is older than everything now, and journals vouch for nothing.
func (s *memoryShard) open(o Opening, ended bool, now time.Time) {
	empty := s.head == nil
	if empty {
		s.head = &head{at: Position{Seq: uint64(now.UnixMicro())}, lease: o.Lease.Truncate(time.Millisecond)}
		s.head.sleep = s.head.lease
		s.log = nil
		clear(s.journals)
	}
	if ended {
		s.floors[everything] = s.head.at.Seq + 1
		s.append(Revocation{KindBefore, strconv.FormatInt(now.Unix(), 10), now.Add(keptFor)}) // not longer: whoever misses it is told to flush, which is what it says
	}
	if empty {
		s.head.began = s.head.at.Seq
	}
	s.head.incarnation, s.head.leaseID, s.head.opened, s.head.since = rand.Text(), rand.Text(), o.Replication, now.Unix()
	maps.DeleteFunc(s.journals, func(issuer string, _ enrolment) bool { return !slices.Contains(o.Issuers, issuer) })
	clear(s.votes)
}
