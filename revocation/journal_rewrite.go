package revocation

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

const (
	reviewEvery = 64 << 10 // bytes by which the file grows, at least, before somebody counts what is dead
	maxSkip     = 1 << 24
)

// skipped is how many numbers an opening leaves out. Two processes that work with copies of one file would else give the
// same number to two revocations, and a shard takes each number once.
func skipped() uint64 { return 1 + rand.Uint64N(maxSkip) }

// review writes the journal anew when more than half of it is dead. It is called with writing held, after a write that
// has been fsynced: whatever goes wrong here takes nothing from that one.
func (j *Journal) review() {
	j.mu.Lock()
	now := j.clock.now()
	due := j.size >= j.reviewAt
	alive := 0
	if due {
		for _, e := range j.entries {
			if e.alive(now) {
				alive++
			}
		}
		j.reviewAt = j.size + max(j.size/4, reviewEvery)
		due = alive < len(j.entries)/2
	}
	j.mu.Unlock()
	if !due {
		return
	}
	// A disk that is full takes no second file: the first goes on, and the next review tries again. An error that leaves
	// open which file the folder names has been remembered by rewrite.
	_ = j.rewrite()
}

// errBound says that everything in a file that is as large as it may be still matters.
var errBound = errors.New("it is full")

// full is the error of that. It is called with mu held.
func (j *Journal) full() error {
	return fmt.Errorf("%w: %s: %w: %d bytes of revocations that still matter, of %d that it may have; it takes more by itself as soon as "+
		"some of what they name has expired; revoke a client, family or subject rather than its tokens one by one", ErrJournal, j.path, errBound, j.size, j.bound)
}

// spare reports whether writing the file anew makes room in it. For less than a part of the file it is not worth while:
// at its bound each revocation would wait for a file to be written. It is called with mu held.
func (j *Journal) spare() bool {
	now, living := j.clock.now(), sizeHead+len(j.entries)/maxAppend*sizeFrame+sizeFrame
	for _, e := range j.entries {
		if e.alive(now) {
			living += sizeEntry + len(e.Name)
		}
	}
	return j.size-living >= j.bound/64
}

// makeRoom is called with writing held, when something does not fit.
func (j *Journal) makeRoom() bool {
	j.mu.Lock()
	spare := j.spare()
	j.mu.Unlock()
	return spare && j.rewrite() == nil
}

// rewrite replaces the file by one that holds what is alive, and the last number given. Where a crash comes between:
//
//  1. the new file is written aside and fsynced: the old one is as it was, and in use
//  2. it is renamed over the old one: either of them is found, and both say all that counts
//  3. the folder is fsynced: only the new one is found, and only now anything is appended to it
//
// It is called with writing held.
func (j *Journal) rewrite() error {
	alive := j.alive()
	aside := j.path + ".new"
	file, err := j.files.create(aside)
	if err != nil {
		return err
	}
	size, err := writeJournal(file, j.id, j.last, alive)
	if err != nil {
		return errors.Join(err, file.Close(), j.files.remove(aside)) // it may be what fills the disk
	}
	if err := j.files.replace(aside, j.path); err != nil {
		j.fail(err) // which of the two a crash would leave is not known
		return errors.Join(err, file.Close())
	}
	if j.file != nil {
		_ = j.file.Close() // it has no name any more
	}
	j.file = file
	j.reviewAt = size + max(size/4, reviewEvery)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries, j.size = alive, size
	return nil
}

func (j *Journal) alive() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock.now()
	var alive []entry
	for _, e := range j.entries {
		if e.alive(now) {
			alive = append(alive, e)
		}
	}
	return alive
}

// writeJournal writes and fsyncs a whole journal.
func writeJournal(file medium, id string, last uint64, entries []entry) (size int, err error) {
	content := appendHead(nil, id, last)
	for from := 0; from < len(entries); from += maxAppend {
		content = appendGroup(content, entries[from:min(from+maxAppend, len(entries))])
	}
	if _, err := file.Write(content); err != nil {
		return 0, err
	}
	return len(content), file.Sync()
}
