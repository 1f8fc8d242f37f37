// Package audit is a log that cannot be rewritten unseen: JSON lines, each of which carries the hash of the line before
// it and a keyed mac of itself.
//
// # What it promises
//
//   - A line that was changed, removed, inserted or moved shows (Verify). Without the key nobody who can write the file
//     can build a chain that verifies.
//   - What a hash chain cannot show is that its end is missing. So the number and hash of the last line are told to the
//     ordinary log every minute and at each start and stop: an anchor that was shipped elsewhere convicts a file that is
//     shorter.
//   - Write returns nil when the line is on the disk. Lines of many callers share one fsync. Note never waits.
//   - A crash leaves at most a torn end. It is kept, the next line says how many bytes of it are no line, and the chain
//     goes on. The same happens after a disk was full.
//   - What could not be written is counted, in a metric and, as soon as something can be written again, in the log
//     itself: it has gaps that say how large they are, and no silent ones.
//   - One process writes a file. It may be renamed at any time: what comes then begins a new file, whose first line
//     follows the last one of the old.
//
// The log knows nothing of what it is told, but that it is small: callers keep secrets out. Config.Redact is a second net.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
)

// Bounds.
const (
	maxQueue = 4 << 20 // bytes that wait for the disk
	maxBatch = 1 << 20 // bytes of one write

	linger      = 50 * time.Millisecond // a line for which nobody waits is on the disk that much later
	writeWithin = 5 * time.Second       // Write gives up
	retryAfter  = time.Second           // a disk that failed is left alone
	anchorEvery = time.Minute

	lockSuffix = ".lock"
)

var (
	// ErrNotWritten says that an event is not known to be on the disk. It comes with the reason.
	ErrNotWritten = errors.New("audit: event is not written")
	errFull       = errors.New("too many events wait for the disk")
	errClosed     = errors.New("the log is closed")
)

// Config configures a Log.
type Config struct {
	// Path is the file. Required. It and its folder must be writable by this process alone.
	Path string
	// Key makes the macs; nil: lines have hashes alone, and whoever can write the file can build it anew.
	Key *Key
	// MaxSize in bytes, at which the file is put aside as Path.SEQ, where SEQ is the number of its last line; 0: never.
	MaxSize int64
	// Redact takes out of a line what must not be in it, and is given each before it is hashed; nil: nothing.
	Redact func([]byte) []byte
	Logger *slog.Logger         // anchors and trouble; nil: discards
	Meter  metric.MeterProvider // nil: none. coatcheck_audit_events_total{outcome}, coatcheck_audit_seq, coatcheck_audit_failing
}

// Log is an open audit log. Open it, Run it in the background. Note and Write may be called from everywhere.
type Log struct {
	path   string
	key    *Key
	max    int64
	redact func([]byte) []byte
	logger *slog.Logger
	counts counts
	open   func(path string) (medium, error)
	lock   io.Closer

	// file, size and retry belong to whoever writes: Open, then Run.
	file  medium // nil: it has to be opened first
	size  int64
	retry time.Time // before it nothing is tried
	told  head      // the last anchor

	wake   chan struct{} // something waits
	hurry  chan struct{} // somebody waits
	mu     sync.Mutex    // guards what follows; never held over the disk
	queue  []entry
	bytes  int    // of queue
	lost   uint64 // events since the last line
	end    head   // of the chain
	failed error  // why the last batch was not written; nil: it was
	since  time.Time
	closed bool
}

// entry is an event on its way to the disk.
type entry struct {
	at   time.Time
	body []byte
	done chan error // nil: nobody waits
}

// Open opens the log or begins one, and writes a first line, so that what is wrong shows at the start. A second process is
// refused.
func Open(c Config) (*Log, error) {
	path, err := canonical(c.Path)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	lock, err := lockFile(path + lockSuffix)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l, err := open(c, path, openFile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %w", err), lock.Close())
	}
	l.lock = lock
	return l, nil
}

func open(c Config, path string, opener func(string) (medium, error)) (*Log, error) {
	l := &Log{
		path: path, key: c.Key, max: c.MaxSize, redact: c.Redact, logger: c.Logger, open: opener, lock: io.NopCloser(nil),
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), end: begin,
	}
	if l.redact == nil {
		l.redact = func(line []byte) []byte { return line }
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = metricnoop.NewMeterProvider()
	}
	var err error
	if l.counts, err = newCounts(c.Meter, l); err != nil {
		return nil, err
	}
	if err := l.write(nil); err != nil {
		return nil, err
	}
	l.anchor()
	return l, nil
}

// canonical is path without symbolic links, so that the file is rotated where it is and locked under one name.
func canonical(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, os.ErrNotExist) {
		return real, err
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("%w; make the folder, owned by this process", err)
	}
	return filepath.Join(folder, filepath.Base(path)), nil
}

// Note hands over an event and returns at once. When the disk does not keep up it is lost, and counted: half of the queue
// is kept for events that somebody waits for.
func (l *Log) Note(event string, attrs ...slog.Attr) {
	_ = l.put(entry{at: time.Now(), body: encode(event, attrs)}, maxQueue/2) // it is counted
}

// Write returns nil when the event is on the disk, else ErrNotWritten. It takes an fsync, and at most 5 s.
func (l *Log) Write(ctx context.Context, event string, attrs ...slog.Attr) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	e := entry{at: time.Now(), body: encode(event, attrs), done: make(chan error, 1)}
	if err := l.put(e, maxQueue); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	select {
	case err := <-e.done:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotWritten, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotWritten, context.Cause(ctx))
	}
}

func (l *Log) put(e entry, room int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case l.bytes+len(e.body) > room:
		l.lost++
		l.counts.lost(1)
		return errFull
	}
	l.queue = append(l.queue, e)
	l.bytes += len(e.body)
	signal(l.wake)
	if e.done != nil {
		signal(l.hurry)
	}
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been told
	}
}

// Head is the number and hash of the last line, as an anchor has them: SEQ:HASH.
func (l *Log) Head() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end.String()
}

func (h head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// Ready says why events are not written now; nil: they are.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return fmt.Errorf("%w: %w", ErrNotWritten, l.failed)
	case len(l.queue) > 0 && time.Since(l.queue[0].at) > writeWithin, !l.since.IsZero() && time.Since(l.since) > writeWithin:
		return fmt.Errorf("%w: the disk does not answer", ErrNotWritten)
	}
	return nil
}
