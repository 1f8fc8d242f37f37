package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxTail is how much of the end of a file is read to find its last line: more than a crash can leave half-written.
const maxTail = maxBatch + 64<<10

// head is the last line of a chain; zero: there is none yet.
type head struct {
	Seq  uint64
	Hash string
}

// begin is what the first line of a chain follows.
var begin = head{0, strings.Repeat("A", sumText)}

// tail is how a file ends.
type tail struct {
	head
	size int64 // of the file
	torn int   // bytes behind the last line
	open bool  // the file does not end with a line feed
}

// firstBytes begin every line.
const firstBytes = `{"seq":`

var errNoLine = errors.New("its end has no line of an audit log; move it away, and a new chain begins")

// readTail finds the last line. What follows it was cut off by a crash or a full disk, and is kept.
func readTail(f medium) (tail, error) {
	info, err := f.Stat()
	if err != nil {
		return tail{}, err
	}
	t := tail{head: begin, size: info.Size()}
	from := max(0, t.size-maxTail)
	text := make([]byte, t.size-from)
	if _, err := f.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return tail{}, err
	}
	if len(text) == 0 {
		return t, nil
	}
	t.open = text[len(text)-1] != '\n'
	for end := len(text); end > 0; {
		start := bytes.LastIndexByte(text[:end-1], '\n') + 1
		if l, ok := parse(text[start:end]); ok {
			t.head, t.torn = head{l.Seq, l.hash}, len(text)-end
			return t, nil
		}
		end = start
	}
	if from == 0 && len(text) < maxLine && strings.HasPrefix(string(text), firstBytes[:min(len(text), len(firstBytes))]) {
		t.torn = len(text) // a crash cut off the very first line
		return t, nil
	}
	return tail{}, errNoLine
}

// newestBeside finds how the chain ended in a file that was rotated while nobody was writing: path with a suffix.
func newestBeside(path string) (head, error) {
	newest := begin
	folder, name := filepath.Split(path)
	files, err := os.ReadDir(filepath.Clean(folder))
	if err != nil {
		return newest, fmt.Errorf("look for earlier files: %w", err)
	}
	for _, f := range files {
		suffix, ours := strings.CutPrefix(f.Name(), name)
		if !ours || suffix == "" || suffix == lockSuffix || !f.Type().IsRegular() {
			continue
		}
		if t, err := tailOf(filepath.Join(folder, f.Name())); err == nil && t.Seq > newest.Seq {
			newest = t.head
		} // else it is none of ours, or compressed
	}
	return newest, nil
}

func tailOf(path string) (tail, error) {
	f, err := os.Open(path)
	if err != nil {
		return tail{}, err
	}
	t, err := readTail(f)
	return t, errors.Join(err, f.Close())
}
