package revocation

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// group is what is written and fsynced at once: the calls of all who came while the disk was busy with the group before.
// Its fields are guarded by Journal.mu while it gathers, by Journal.writing after.
type group struct {
	calls   []call
	size    int // revocations
	written bool
	err     error
}

// call is one Append in a group.
type call struct {
	rs       []Revocation
	numbered func(first uint64) // called before anyone can find the entries in the journal; must not block
	last     uint64
}

// Append writes and fsyncs; many callers share one fsync. It returns the number of the last one. After an error nothing
// of rs counts, and nothing more is accepted until the journal is opened anew.
func (j *Journal) Append(rs []Revocation) (last uint64, err error) {
	return j.append(rs, func(uint64) {})
}

// append is Append, and tells the number of the first one before it can be seen.
func (j *Journal) append(rs []Revocation, numbered func(first uint64)) (last uint64, err error) {
	if err := check(rs); err != nil {
		return 0, err
	}
	g, mine := j.join(call{rs: rs, numbered: numbered})
	j.writing.Lock()
	defer j.writing.Unlock()
	if !g.written { // whoever comes first writes for all
		g.err = j.commit(g)
		g.written = true
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.calls[mine].last, nil
}

// join puts a call into the group that gathers, or into a new one when that is full. A full group is written by its own
// callers, after or before the next: numbers are given when a group is written.
func (j *Journal) join(c call) (g *group, mine int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gathering == nil || j.gathering.size+len(c.rs) > maxAppend {
		j.gathering = &group{}
	}
	g = j.gathering
	g.calls = append(g.calls, c)
	g.size += len(c.rs)
	return g, len(g.calls) - 1
}

// commit is called with writing held.
func (j *Journal) commit(g *group) error {
	entries, frame, err := j.number(g)
	if errors.Is(err, errBound) && j.makeRoom() {
		entries, frame, err = j.number(g)
	}
	if err != nil {
		return err
	}
	_, err = j.file.Write(frame)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.fail(err)
		_, _, err = j.state()
		return err
	}
	for _, c := range g.calls {
		c.numbered(c.last - uint64(len(c.rs)) + 1)
	}
	j.publish(entries, len(frame))
	j.review()
	return nil
}

// number closes the group and gives its numbers; they are taken only when it is published.
func (j *Journal) number(g *group) ([]entry, []byte, error) {
	now := time.Now().Unix()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gathering == g {
		j.gathering = nil
	}
	if j.failed != nil {
		return nil, nil, j.failed
	}
	number := j.last
	entries := make([]entry, 0, g.size)
	for i := range g.calls {
		for _, r := range g.calls[i].rs {
			number++
			entries = append(entries, newEntry(number, now, r))
		}
		g.calls[i].last = number
	}
	frame := appendGroup(nil, entries)
	if j.size+len(frame) > j.bound {
		return nil, nil, j.full()
	}
	return entries, frame, nil
}

func (j *Journal) publish(entries []entry, bytes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entries...)
	j.last = entries[len(entries)-1].Number
	j.size += bytes
}

// check refuses what the store would refuse: such an entry would stand in the way of all that come after it.
func check(rs []Revocation) error {
	if len(rs) == 0 || len(rs) > maxAppend {
		return fmt.Errorf("revocation: %d revocations at once; 1 to %d are taken", len(rs), maxAppend)
	}
	for _, r := range rs {
		if _, ok := kindByte(r.Kind); !ok {
			return fmt.Errorf("revocation: kind %q is not known", r.Kind)
		}
		if !isName(r.Name) {
			return errors.New("revocation: name is not of 1 to 64 characters of [A-Za-z0-9_-]")
		}
		if r.Kind == Before && !isMoment(r.Name) {
			return fmt.Errorf("revocation: before %s: want Unix seconds in decimal", r.Name)
		}
		if r.Until.Unix() < 0 || r.Until.Year() > 9999 {
			return errors.New("revocation: until is not between 1970 and 9999")
		}
	}
	return nil
}

func isMoment(name string) bool {
	n, err := strconv.ParseUint(name, 10, 40)
	return err == nil && strconv.FormatUint(n, 10) == name
}
