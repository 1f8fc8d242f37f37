package revocation

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a file system as a journal uses it: an interface because tests cut the power between two of its steps, and fill
// it.
type disk interface {
	// open opens a file for reading; fs.ErrNotExist.
	open(name string) (medium, error)
	// create makes a file empty, for appending, with mode 0600.
	create(name string) (medium, error)
	// replace renames a file over another and fsyncs their folder. After an error either may be there.
	replace(from, to string) error
	remove(name string) error
}

// medium is an open file. What has been written counts when Sync has returned nil.
type medium interface {
	io.ReadWriteCloser
	Sync() error
}

// osDisk is the operating system's.
type osDisk struct{}

func (osDisk) open(name string) (medium, error) {
	// Without waiting: a pipe in its place must not hold up the start.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := trustworthy(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (osDisk) create(name string) (medium, error) {
	// Not through a link that somebody has put there, and not into a file that others can write.
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(trustworthy(f), f.Chmod(0o600)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (osDisk) replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func (osDisk) remove(name string) error { return os.Remove(name) }

// trustworthy refuses what is no file, or a file that others may write: they could take revocations out of it.
func trustworthy(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s may be written by others (mode %#o): chmod 600 it, if its content can be trusted", f.Name(), mode)
	}
	return nil
}

// canonical is path without symbolic links, so that the file is replaced where it is and locked under one name.
func canonical(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if info, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s (%v) leads to nothing", path, info.Mode().Type())
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("%w; make the folder, owned by this process", err)
	}
	return filepath.Join(folder, filepath.Base(path)), nil
}

// lockFile locks a file beside the journal, until it is closed or the process ends. Not the journal: that is replaced.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another process has it open: each issuer needs a journal of its own")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return lockedFile{f}, nil
}

// lockedFile is unlocked by name when it is closed: a process that is just being started holds what this one had open.
type lockedFile struct{ f *os.File }

func (l lockedFile) Close() error {
	return errors.Join(syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN), l.f.Close())
}

// nowhere is the disk of a volatile journal: it keeps nothing.
type nowhere struct{}

func (nowhere) open(string) (medium, error)   { return nil, fs.ErrNotExist }
func (nowhere) create(string) (medium, error) { return nowhere{}, nil }
func (nowhere) replace(string, string) error  { return nil }
func (nowhere) remove(string) error           { return nil }
func (nowhere) Read([]byte) (int, error)      { return 0, io.EOF }
func (nowhere) Write(b []byte) (int, error)   { return len(b), nil }
func (nowhere) Sync() error                   { return nil }
func (nowhere) Close() error                  { return nil }
