package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is what Verify found.
type Report struct {
	OK     bool      `json:"ok"`
	Broken *Break    `json:"broken,omitempty"`
	Files  []string  `json:"files"` // in the order of their lines
	Lines  uint64    `json:"lines"`
	First  uint64    `json:"first"` // number of the first line; above 1: earlier files were not given
	Last   uint64    `json:"last"`
	Head   string    `json:"head"` // of the last line, as an anchor has it
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Macs   string    `json:"macs"` // checked, not checked, or none
	Lost   uint64    `json:"lost"` // events that the log itself says are missing
	Torn   int       `json:"torn"` // bytes that a crash or a full disk cut off
	Notes  []string  `json:"notes,omitempty"`
}

// Break is where a chain is broken, and how.
type Break struct {
	File string `json:"file"`
	Line int    `json:"line"` // of the file, from 1
	What string `json:"what"`
}

func (b *Break) Error() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.What) }

// Anchor is a line that was seen when it was the last one.
type Anchor struct {
	Seq  uint64
	Hash string
}

// ParseAnchor reads SEQ:HASH.
func ParseAnchor(text string) (Anchor, error) {
	number, hash, _ := strings.Cut(text, ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || len(hash) != sumText {
		return Anchor{}, fmt.Errorf("audit: %q is no anchor: it is the `head` of a line \"audit anchor\" in the ordinary log, SEQ:HASH", text)
	}
	return Anchor{seq, hash}, nil
}

// Verify reads files of one chain, in any order. It checks every hash and its place in the chain, macs if there are
// keys, and that each anchor is in it. An error means that it could not look; what is broken is in the report.
func Verify(paths []string, keys []Key, anchors []Anchor) (Report, error) {
	ordered, err := inOrder(paths)
	if err != nil {
		return Report{}, err
	}
	v := &verification{Report: Report{Files: ordered, Macs: "not checked"}, keys: keys, anchors: anchors}
	for n, path := range ordered {
		if err := v.file(path, n == len(ordered)-1); err != nil {
			var broken *Break
			if !errors.As(err, &broken) {
				return Report{}, err
			}
			v.Broken = broken
			return v.Report, nil
		}
	}
	v.Head = v.end.String()
	v.Broken = v.missing()
	v.OK = v.Broken == nil
	return v.Report, nil
}

// inOrder sorts files by the number of their first line.
func inOrder(paths []string) ([]string, error) {
	first := map[string]uint64{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		raw, err := bufio.NewReaderSize(f, maxLine).ReadSlice('\n')
		if err = errors.Join(ignoreEnd(err), f.Close()); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		l, _ := parse(raw) // none: it comes first, and shows
		first[path] = l.Seq
	}
	ordered := slices.Clone(paths)
	slices.SortStableFunc(ordered, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	return ordered, nil
}

// ignoreEnd: a file without lines, or whose first one is longer than any, is not what could not be read.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		return nil
	}
	return err
}

// verification walks a chain.
type verification struct {
	Report
	keys    []Key
	anchors []Anchor
	end     head
	torn    []byte // what was read since the last line and is none
	tornAt  int    // its first line in the file
	at      int    // the line of the file that is looked at
}

const notWritten = "the line is not what was written: it does not have the hash that it names"

func (v *verification) file(path string, last bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	r := bufio.NewReaderSize(f, 64<<10)
	v.torn = nil
	fresh := true
	for at := 1; ; at++ {
		raw, err := r.ReadSlice('\n')
		if len(raw) > 0 {
			v.at = at
			if wrong := v.next(raw, fresh); wrong != "" {
				return &Break{path, v.at, wrong}
			}
			fresh = fresh && v.torn != nil
		}
		switch {
		case err == nil || errors.Is(err, bufio.ErrBufferFull): // junk longer than any line goes on
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read %s: %w", path, err)
		case v.torn == nil:
			return nil
		case last && !bytes.HasSuffix(v.torn, []byte("\n")):
			v.Torn += len(v.torn)
			v.Notes = append(v.Notes, fmt.Sprintf("%s ends with %d bytes that are no whole line: it is being written, or its writer was cut off", path, len(v.torn)))
			return nil
		default:
			return &Break{path, v.tornAt, notWritten}
		}
	}
}

// next takes the next line of a file and says what is wrong with it; empty: nothing.
func (v *verification) next(raw []byte, fresh bool) string {
	l, ok := parse(raw)
	if !ok {
		if v.torn == nil {
			v.tornAt = v.at
		}
		if v.torn = append(v.torn, raw...); len(v.torn) > maxTail {
			v.at = v.tornAt
			return "from here on nothing is as it was written"
		}
		return ""
	}
	switch {
	case len(v.torn) > 0 && (l.Event != eventOpened || l.Torn != len(v.torn)):
		v.at = v.tornAt
		return notWritten
	case fresh && l.Event != eventOpened:
		return "the file does not begin as the log begins one: lines before this one were taken out"
	case v.Lines > 0 && l.Seq == 1:
		return fmt.Sprintf("a new chain begins, and does not follow line %d: the files are of two logs, or the log was taken away", v.end.Seq)
	case v.Lines > 0 && l.Prev != v.end.Hash, v.Lines > 0 && l.Seq != v.end.Seq+1:
		return fmt.Sprintf("number %d does not follow number %d: lines were taken out, put in or moved", l.Seq, v.end.Seq)
	case v.Lines == 0 && l.Seq == 1 && l.Prev != begin.Hash:
		return "the first line of a chain follows nothing, and this one does"
	}
	if wrong := v.checkMac(l); wrong != "" {
		return wrong
	}
	v.count(l)
	return v.checkAnchors(l)
}

func (v *verification) checkMac(l line) string {
	switch {
	case len(v.keys) == 0:
		return ""
	case l.mac == "":
		return "the line has no mac: it was written without the key, by somebody else or before there was one"
	case !l.madeBy(v.keys):
		return "the mac is of another key: the chain was built anew without ours, or the key that made it is missing here"
	}
	v.Macs = "checked"
	return ""
}

func (v *verification) count(l line) {
	if v.Lines == 0 {
		v.First, v.From = l.Seq, l.Time
		if l.Seq > 1 {
			v.Notes = append(v.Notes, fmt.Sprintf("lines 1 to %d are in files that were not given", l.Seq-1))
		}
	}
	v.Torn += len(v.torn)
	v.torn = nil
	v.Lines++
	v.Last, v.To, v.end = l.Seq, l.Time, head{l.Seq, l.hash}
	if l.Event == eventGap {
		v.Lost += l.Lost
	}
}

func (v *verification) checkAnchors(l line) string {
	for _, a := range v.anchors {
		if a.Seq == l.Seq && a.Hash != l.hash {
			return fmt.Sprintf("line %d is not the one that the anchor names: the chain was built anew", l.Seq)
		}
	}
	return ""
}

// missing: an anchor names a line beyond the end, or before the beginning.
func (v *verification) missing() *Break {
	at := &Break{File: v.Files[len(v.Files)-1], Line: 0}
	for _, a := range v.anchors {
		if a.Seq > v.Last {
			at.What = fmt.Sprintf("the log ends with number %d, but an anchor names %d: its end is missing", v.Last, a.Seq)
			return at
		}
		if a.Seq < v.First {
			at.What = fmt.Sprintf("an anchor names number %d, which is in a file that was not given", a.Seq)
			return at
		}
	}
	return nil
}
