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
	err = j.write(g, false)
	if errors.Is(err, errBound) {
		j.makeRoom()
		err = j.write(g, true)
	}
	if err != nil {
		return 0, err
	}
	return g.calls[mine].last, nil
}

// write writes a group, or says what came of that: whoever comes first writes for all. Before the last attempt one that
// does not fit has not been refused.
func (j *Journal) write(g *group, last bool) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	if g.written {
		return g.err
	}
	err := j.commit(g)
	if last || !errors.Is(err, errBound) {
		g.written, g.err = true, err
	}
	return err
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
	body, err := j.number(g)
	if err != nil {
		return err
	}
	written, err := j.file.Write(append(frame(body), body...)) // at once: see the format
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.fail(err)
		return j.broken()
	}
	for _, c := range g.calls {
		c.numbered(c.last - uint64(len(c.rs)) + 1)
	}
	j.publish(body, written)
	j.review()
	return nil
}

// number closes the group and gives its numbers; they are taken only when it is published.
func (j *Journal) number(g *group) (body []byte, err error) {
	now := time.Now().Unix()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gathering == g {
		j.gathering = nil
	}
	if j.failed != nil {
		return nil, j.failed
	}
	number := j.last
	for i := range g.calls {
		for _, r := range g.calls[i].rs {
			number++
			body = appendEntry(body, number, now, r)
		}
		g.calls[i].last = number
	}
	if j.size+sizeFrame+len(body) > j.bound {
		return nil, j.full()
	}
	return body, nil
}

func (j *Journal) publish(body []byte, bytes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for e := range entriesOf(body) {
		j.entries.add(e)
		j.last = e.number()
	}
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
