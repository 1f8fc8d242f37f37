package revocation

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// What bounds a journal.
const (
	maxAppend  = 4096     // revocations in one call
	maxJournal = 64 << 20 // bytes of the file, and about that in memory: a million revocations that still matter
	// afterlife is how long an entry is kept beyond its Until: by the clock of an edge the token may live that much longer.
	afterlife = time.Minute
)

// ErrJournal says that the journal takes nothing more. It comes with the reason and what to do.
var ErrJournal = errors.New("revocation: journal takes nothing more")

// Journal is an issuer's own record of what it was asked to revoke, on a disk of its own: fsynced before the store hears
// of it. A store that comes back from the past is brought up to date from it. It holds jtis, handles and key ids, no secret.
//
// Numbers ascend, with gaps, and are never used twice: not after everything has died, and not by a copy of the file that
// another process works with, because each opening skips a random stretch (see worker.foreign).
type Journal struct {
	id    string
	path  string
	files disk
	bound int       // bytes of the file; maxJournal but for tests
	lock  io.Closer // released last

	known uint64 // the last number that the file had when it was opened
	cut   int    // bytes of a write that a crash cut off, dropped when it was opened

	// renewing is held by who writes the file anew. It is taken before writing.
	renewing sync.Mutex
	// writing guards file and reviewAt. It is held over write and fsync: whoever comes meanwhile joins the next group.
	writing  sync.Mutex
	file     medium
	reviewAt int // size of the file at which somebody counts what is dead

	mu        sync.Mutex // guards what follows; never held over the disk
	gathering *group     // who waits for the disk; nil: nobody
	entries   pages      // on disk
	last      uint64     // the last number given
	size      int        // bytes of the file
	clock     storeClock // by which entries die
	failed    error      // why nothing more is accepted
}

// OpenJournal opens the journal at path, or makes one (file mode 0600). One process at a time: a second one is refused.
// An entry that was cut off by a crash is dropped, for nobody was told that it counts; any other damage is an error that
// says what to do.
func OpenJournal(path string) (*Journal, error) {
	path, err := canonical(path)
	if err != nil {
		return nil, fmt.Errorf("revocation: journal: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("revocation: journal: %w", err)
	}
	j, err := openJournal(osDisk{}, path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	j.lock = lock
	return j, nil
}

// NewVolatileJournal keeps a journal in memory, for a store that does not outlive this process either.
func NewVolatileJournal() *Journal {
	j, err := openJournal(nowhere{}, "memory")
	if err != nil {
		panic("revocation: internal error: " + err.Error()) // nothing can fail that goes nowhere
	}
	return j
}

// openJournal reads what is there and writes it anew, also if nothing was wrong: a page whose fsync failed before may be
// in the system's memory only, and no later fsync of that file would say so.
func openJournal(files disk, path string) (*Journal, error) {
	j := &Journal{path: path, files: files, bound: maxJournal, lock: nowhere{}, clock: storeClock{begun: time.Now()}}
	if err := j.load(); err != nil {
		return nil, err
	}
	j.known = j.last
	j.last += skipped()
	if err := j.renew(); err != nil {
		return nil, fmt.Errorf("revocation: journal: %w; make room or give this process the right to write there", err)
	}
	return j, nil
}

func (j *Journal) load() error {
	file, err := j.files.open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		j.id = newID()
		return nil
	}
	if err != nil {
		return fmt.Errorf("revocation: journal: %w", err)
	}
	c, err := readJournal(file)
	if err != nil {
		return fmt.Errorf("revocation: journal %s: %w; bring the file back from a copy, or move it away and start with a new one: "+
			"a store that loses data before it has been enrolled will then end all earlier grants", j.path, err)
	}
	j.id, j.last, j.entries, j.cut = c.id, c.last, c.entries, c.torn
	return nil
}

// ID is the random name that the journal got when it was made.
func (j *Journal) ID() string { return j.id }

// After returns up to limit entries with numbers above n, in order, that may still name something alive.
func (j *Journal) After(n uint64, limit int) []store.Numbered {
	found, _ := j.after(n, limit, func(Revocation) bool { return true })
	return found
}

// after is After for those that concern the asker, and says up to which number it has looked.
func (j *Journal) after(n uint64, limit int, concerns func(Revocation) bool) (found []store.Numbered, looked uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	gone := goneAt(j.clock.now())
	for e := range j.entries.after(n) {
		if !e.alive(gone) {
			continue
		}
		numbered := e.numbered()
		if !concerns(numbered.Revocation) {
			continue
		}
		if len(found) == limit {
			return found, found[limit-1].Number
		}
		found = append(found, numbered)
	}
	return found, max(n, j.last)
}

// Close releases the file.
func (j *Journal) Close() error {
	j.fail(errors.New("it is closed"))
	j.renewing.Lock() // who writes the file anew sees that it is for nothing
	defer j.renewing.Unlock()
	j.writing.Lock()
	defer j.writing.Unlock()
	return errors.Join(j.file.Close(), j.lock.Close())
}

// fail is for ever. After a failed write or fsync nobody knows what is on the disk, and asking again would be answered
// with a yes that means nothing: the kernel has forgotten the pages that it could not write.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = fmt.Errorf("%w: %s: %w; see to the disk, then restart this process", ErrJournal, j.path, err)
	}
}

// state is for Ready and for metrics. A journal that may refuse the next group has failed until something in it dies.
func (j *Journal) state() (size, entries int, failed error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	failed = j.failed
	if failed == nil && j.size+sizeFrame+maxBody > j.bound && !j.spare() {
		failed = j.full()
	}
	return j.size, j.entries.count, failed
}

// broken is why nothing more is ever accepted.
func (j *Journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand never fails; it ends the process instead
	return fmt.Sprintf("%x", b)
}
