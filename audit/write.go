package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Run writes what is handed over until ctx ends, then what is left, and closes the log.
func (l *Log) Run(ctx context.Context) error {
	anchors := time.NewTicker(anchorEvery)
	defer anchors.Stop()
	retries := time.NewTicker(retryAfter)
	defer retries.Stop()
	for {
		select {
		case <-l.wake:
			l.gather(ctx)
			l.flush()
		case <-retries.C:
			l.mend()
		case <-anchors.C:
			l.anchor()
		case <-ctx.Done():
			return l.close()
		}
	}
}

// gather waits a moment for more, unless somebody waits for what there is.
func (l *Log) gather(ctx context.Context) {
	more := time.NewTimer(linger)
	defer more.Stop()
	select {
	case <-l.hurry:
	case <-more.C:
	case <-ctx.Done():
	}
}

// flush writes all that waits, a batch at a time.
func (l *Log) flush() {
	for {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		err := l.write(batch)
		for _, e := range batch {
			if e.done != nil {
				e.done <- err
			}
		}
	}
}

// mend tries a disk that has failed again, also when nothing comes: who is told that this process is not ready sends nothing.
func (l *Log) mend() {
	l.mu.Lock()
	failed := l.failed
	l.mu.Unlock()
	if failed != nil {
		_ = l.write(nil) // it is kept, and told by Ready
	}
}

// take is the next batch.
func (l *Log) take() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.queue) && size < maxBatch/2 {
		size += len(l.queue[n].body) + 256 // what a line has beside its event
		n++
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	for _, e := range batch {
		l.bytes -= len(e.body)
	}
	l.since = time.Time{}
	if n > 0 {
		l.since = time.Now()
	}
	return batch
}

// write puts a batch on the disk, all of it or none that counts, and keeps the outcome. After any error nobody knows what
// the file has, so it is opened and read again.
func (l *Log) write(batch []entry) error {
	err := l.try(batch)
	l.mu.Lock()
	was := l.failed
	l.failed = err
	if err != nil {
		l.lost += uint64(len(batch))
	}
	l.mu.Unlock()
	if err == nil {
		l.counts.written(len(batch))
		if was != nil {
			l.logger.LogAttrs(context.Background(), slog.LevelInfo, "audit log is written again", slog.String("file", l.path))
		}
		return nil
	}
	l.counts.lost(len(batch))
	if was == nil {
		l.logger.LogAttrs(context.Background(), slog.LevelError, "audit log is not written",
			slog.String("file", l.path), slog.String("error", err.Error()))
	}
	return err
}

func (l *Log) try(batch []entry) error {
	if l.file == nil && time.Now().Before(l.retry) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.failed
	}
	err := l.attempt(batch)
	if err != nil && l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	if err != nil {
		l.retry = time.Now().Add(retryAfter)
	}
	return err
}

func (l *Log) attempt(batch []entry) error {
	first, err := l.ready()
	if err != nil {
		return err
	}
	l.mu.Lock()
	at, lost := l.end, l.lost
	l.mu.Unlock()
	text := first.text
	add := func(when time.Time, body []byte) {
		sealed, hash := seal(at.Seq+1, when, at.Hash, l.redact(body), l.key)
		text, at = append(text, sealed...), head{at.Seq + 1, hash}
	}
	if first.why != "" {
		add(time.Now(), first.body(l.key))
	}
	if lost > 0 {
		add(time.Now(), encode(eventGap, []slog.Attr{slog.Uint64("lost", lost)}))
	}
	for _, e := range batch {
		add(e.at, e.body)
	}
	if _, err := l.file.Write(text); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.size += int64(len(text))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end, l.lost = at, l.lost-lost
	return nil
}

// opening is what the first line of a file says, and the first one after a failure.
type opening struct {
	why  string // empty: nothing is to be said, the file goes on
	torn int    // bytes before it that are no line
	text []byte // ends them
}

func (o opening) body(key *Key) []byte {
	attrs := []slog.Attr{slog.String("why", o.why)}
	if o.torn > 0 {
		attrs = append(attrs, slog.Int("torn", o.torn))
	}
	if key != nil {
		attrs = append(attrs, slog.String("key", key.ID()))
	}
	return encode(eventOpened, attrs)
}

// ready sees to it that there is a file to write to: the one that is open, unless it was renamed, removed or emptied, or is
// full.
func (l *Log) ready() (opening, error) {
	why := "resumed"
	if l.file != nil {
		gone, err := l.gone()
		switch {
		case err != nil:
			return opening{}, err
		case !gone && (l.max == 0 || l.size < l.max):
			return opening{}, nil
		case !gone:
			if err := l.putAside(); err != nil {
				return opening{}, err
			}
		}
		why = "rotated"
		if err := l.file.Close(); err != nil {
			return opening{}, err
		}
		l.file = nil
	}
	file, err := l.open(l.path)
	if err != nil {
		return opening{}, err
	}
	l.file = file
	return l.join(why)
}

// gone reports whether the open file is no more what the path leads to, or was emptied.
func (l *Log) gone() (bool, error) {
	here, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	}
	return !os.SameFile(here, there) || here.Size() == 0, nil
}

// putAside renames a file that is large enough.
func (l *Log) putAside() error {
	l.mu.Lock()
	aside := fmt.Sprintf("%s.%012d", l.path, l.end.Seq)
	l.mu.Unlock()
	if _, err := os.Lstat(aside); err == nil {
		return fmt.Errorf("%s is there already", aside)
	}
	if err := os.Rename(l.path, aside); err != nil {
		return err
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "audit log is put aside", slog.String("file", aside))
	return syncFolder(l.path)
}

// join finds where the chain goes on in the file that was just opened. What this process remembers counts for more than
// what it finds: a file that was cut shorter does not make it forget, and verification shows the cut.
func (l *Log) join(why string) (opening, error) {
	t, err := readTail(l.file)
	if err != nil {
		return opening{}, fmt.Errorf("%s: %w", l.path, err)
	}
	found := t.head
	if found == begin && why == "resumed" {
		if found, err = newestBeside(l.path); err != nil {
			return opening{}, err
		}
	}
	if t.size == 0 {
		if err := syncFolder(l.path); err != nil {
			return opening{}, err
		}
	}
	o := opening{why: why, torn: t.torn}
	if t.open {
		o.torn, o.text = t.torn+1, []byte("\n")
	}
	l.size = t.size
	l.mu.Lock()
	defer l.mu.Unlock()
	// A batch whose fsync failed may be in the file all the same, ahead of what is remembered.
	if found.Seq > l.end.Seq {
		l.end = found
	}
	if l.end == begin {
		o.why = "begun"
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "audit log begins a new chain: there is none to go on with", slog.String("file", l.path))
	}
	return o, nil
}

// close writes what is left. Nothing is taken any more.
func (l *Log) close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.flush()
	l.anchor()
	var errs []error
	if l.file != nil {
		errs = append(errs, l.file.Close())
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// anchor tells the ordinary log how the chain ends, if that has changed.
func (l *Log) anchor() {
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	if end == l.told {
		return
	}
	l.told = end
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "audit anchor",
		slog.String("file", l.path), slog.Uint64("seq", end.Seq), slog.String("head", end.String()))
}
