package revocation

import (
	"github.com/coatcheck/coatcheck/store"
)

// Journal is an issuer's own record of what it was asked to revoke, on a disk of its own: fsynced before the store hears
// of it. A store that comes back from the past is brought up to date from it. It holds jtis, handles and key ids, no secret.
type Journal struct{}

// OpenJournal opens the journal at path, or makes one (file mode 0600). One process at a time: a second one is refused.
// An entry that was cut off by a crash is dropped, for nobody was told that it counts; any other damage is an error that
// says what to do.
func OpenJournal(path string) (*Journal, error) { panic("contract") }

// NewVolatileJournal keeps a journal in memory, for a store that does not outlive this process either.
func NewVolatileJournal() *Journal { panic("contract") }

// ID is the random name that the journal got when it was made.
func (j *Journal) ID() string { panic("contract") }

// Append writes and fsyncs; many callers share one fsync. It returns the number of the last one. After an error nothing
// of rs counts, and nothing more is accepted until the journal is opened anew.
func (j *Journal) Append(rs []Revocation) (last uint64, err error) { panic("contract") }

// After returns up to limit entries with numbers above n, in order, that may still name something alive.
func (j *Journal) After(n uint64, limit int) []store.Numbered { panic("contract") }

// Close releases the file.
func (j *Journal) Close() error { panic("contract") }
