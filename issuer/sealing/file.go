package sealing

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadFile reads a sealed file, up to most bytes of it: what is longer does not open. It is nil where there is no path, or
// no file yet.
func ReadFile(path string, most int64) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(file, most))
}

// ReplaceFile puts content in the place of a file. When it returns, the file survives a crash: written aside, synced,
// renamed, and the folder synced, in this order.
func ReplaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	aside, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(aside.Name()) }() // it is gone after the rename
	_, err = aside.Write(content)
	err = errors.Join(err, aside.Sync(), aside.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(aside.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
