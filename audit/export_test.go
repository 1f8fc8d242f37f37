package audit

import (
	"io/fs"
	"os"
	"sync"
)

// Disk is a disk that can be filled, and that can hang; the files on it are real.
type Disk struct {
	mu    sync.Mutex
	room  int        // bytes that still fit; below 0: any number
	stuck chan error // a sync waits for it; nil: it does not
	syncs int
}

func NewDisk() *Disk { return &Disk{room: -1} }

// Fill leaves room for so many bytes.
func (d *Disk) Fill(room int) { d.mu.Lock(); d.room = room; d.mu.Unlock() }

// Hang lets every sync wait, until what it returns is called.
func (d *Disk) Hang() (release func(error)) {
	c := make(chan error)
	d.mu.Lock()
	d.stuck = c
	d.mu.Unlock()
	return func(err error) {
		if err != nil {
			c <- err // to the one that waits
		}
		d.mu.Lock()
		d.stuck = nil
		d.mu.Unlock()
		close(c)
	}
}

// Syncs counts them.
func (d *Disk) Syncs() int { d.mu.Lock(); defer d.mu.Unlock(); return d.syncs }

// OpenOn is Open on such a disk, without a lock.
func OpenOn(d *Disk, c Config) (*Log, error) {
	return open(c, c.Path, func(path string) (medium, error) {
		f, err := openFile(path)
		if err != nil {
			return nil, err
		}
		return &diskFile{d, f}, nil
	})
}

type diskFile struct {
	d *Disk
	medium
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room < 0 || len(p) <= f.d.room {
		return f.medium.Write(p)
	}
	n, err := f.medium.Write(p[:f.d.room])
	f.d.room = 0
	if err == nil {
		err = &fs.PathError{Op: "write", Path: "disk", Err: errNoSpace}
	}
	return n, err
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	f.d.syncs++
	stuck := f.d.stuck
	f.d.mu.Unlock()
	if stuck != nil {
		if err := <-stuck; err != nil {
			return err
		}
	}
	return f.medium.Sync()
}

func (f *diskFile) Stat() (os.FileInfo, error) { return f.medium.Stat() }

const errNoSpace = constError("no space left on device")

type constError string

func (e constError) Error() string { return string(e) }
