package revocation

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
)

const (
	reviewEvery = 64 << 10 // bytes by which the file grows, at least, before somebody counts what is dead
	maxSkip     = 1 << 24
	// syncEvery is how much of a new file is fsynced at once: the fsync of an append may wait for that one.
	syncEvery = 4 << 20
)

// skipped is how many numbers an opening leaves out. Two processes that work with copies of one file would else give the
// same number to two revocations, and a shard takes each number once.
func skipped() uint64 { return 1 + rand.Uint64N(maxSkip) }

// review has the journal written anew, aside, when more than half of it is dead, or when it comes near its bound and that
// makes room. It is called with writing held, after a write that has been fsynced: whatever goes wrong here takes nothing
// from that one.
func (j *Journal) review() {
	j.mu.Lock()
	due := j.size >= j.reviewAt
	if due {
		living, _ := j.entries.living(goneAt(j.clock.now()))
		j.reviewAt = j.nextReview(j.size)
		due = living < j.entries.count/2 || j.size > j.bound/8*7 && j.spare()
	}
	j.mu.Unlock()
	if !due || !j.renewing.TryLock() {
		return // or somebody is at it
	}
	go func() {
		defer j.renewing.Unlock()
		// A disk that is full takes no second file: the first goes on, and the next review tries again. An error that
		// leaves open which file the folder names has been remembered.
		_ = j.renew()
	}()
}

// nextReview is the size at which the dead are counted after they have been at this one.
func (j *Journal) nextReview(size int) int {
	return size + max(min(size/4, j.bound/16), reviewEvery)
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
	_, living := j.entries.living(goneAt(j.clock.now()))
	frames := (living/(pageSize/2) + 1) * sizeFrame
	return j.size-(sizeHead+living+frames) >= j.bound/64
}

// makeRoom is called when something does not fit.
func (j *Journal) makeRoom() {
	j.renewing.Lock()
	defer j.renewing.Unlock()
	j.mu.Lock()
	spare := j.spare()
	j.mu.Unlock()
	if spare {
		_ = j.renew() // as in review; the caller sees whether there is room
	}
}

// renew replaces the file by one that holds what is alive, and the last number given. Appends go on meanwhile, to the old
// file; what they append is copied last, while they wait. Where a crash comes between:
//
//  1. the new file is written aside and fsynced: the old one is as it was, and in use
//  2. nobody appends now; what was appended meanwhile is written to the new file, too, and fsynced
//  3. it is renamed over the old one: either of them is found, and both say all that counts
//  4. the folder is fsynced: only the new one is found, and only now anything is appended to it
//
// It is called with renewing held.
func (j *Journal) renew() error {
	if err := j.broken(); err != nil {
		return err
	}
	j.mu.Lock()
	entries, last, gone := j.entries.snapshot(), j.last, goneAt(j.clock.now())
	j.mu.Unlock()
	aside := j.path + ".new"
	file, err := j.files.create(aside)
	if err != nil {
		return err
	}
	w := &journalWriter{file: file, out: bufio.NewWriterSize(file, pageSize), broken: j.broken}
	entries = entries.without(gone)
	err = w.write(appendHead(nil, j.id, last))
	if err == nil {
		err = w.writePages(entries)
	}
	if err == nil {
		return j.replace(w, aside, entries, last)
	}
	return errors.Join(err, file.Close(), j.files.remove(aside)) // it may be what fills the disk
}

// replace is steps 2 to 4. copied is what the new file has, of all up to number last.
func (j *Journal) replace(w *journalWriter, aside string, copied pages, last uint64) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	var since pages
	j.mu.Lock()
	for e := range j.entries.after(last) {
		since.add(e)
		copied.add(e)
	}
	j.mu.Unlock()
	if err := w.writePages(since); err != nil {
		return errors.Join(err, w.file.Close(), j.files.remove(aside))
	}
	if err := j.files.replace(aside, j.path); err != nil {
		j.fail(err) // which of the two a crash would leave is not known
		return errors.Join(err, w.file.Close())
	}
	if j.file != nil {
		_ = j.file.Close() // it has no name any more
	}
	j.file = w.file
	j.reviewAt = j.nextReview(w.size)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries, j.size = copied, w.size
	return nil
}

// journalWriter writes a new file.
type journalWriter struct {
	file   medium
	out    *bufio.Writer
	size   int
	broken func() error // why nobody needs it any more
}

func (w *journalWriter) write(b []byte) error {
	n, err := w.out.Write(b)
	w.size += n
	return err
}

// writePages writes a group for each page, and fsyncs.
func (w *journalWriter) writePages(p pages) error {
	synced := w.size
	for _, page := range p.list {
		if err := errors.Join(w.broken(), w.write(frame(page.body)), w.write(page.body)); err != nil {
			return err
		}
		if w.size-synced < syncEvery {
			continue
		}
		if err := w.sync(); err != nil {
			return err
		}
		synced = w.size
	}
	return errors.Join(w.broken(), w.sync())
}

func (w *journalWriter) sync() error {
	if err := w.out.Flush(); err != nil {
		return err
	}
	return w.file.Sync()
}
