package revocation

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxYear9999 is the last moment of the year 9999, in Unix s.
const maxYear9999 = 253402300799

// contents is what a journal file says.
type contents struct {
	id       string
	last     uint64 // the last number that was ever given
	previous uint64 // number of the last entry: below last if the file was written anew after numbers were given whose entries died
	entries  pages
	torn     int // bytes at the end that a crash cut off
}

// readJournal reads a file whole, and closes it.
func readJournal(f medium) (*contents, error) {
	// Written anew, a file at its bound may have a few frames more than before.
	limited := &io.LimitedReader{R: f, N: maxJournal + maxBody}
	c, err := parse(limited)
	if limited.N == 0 {
		err = fmt.Errorf("has more than %d bytes: no journal gets so large", maxJournal)
	}
	return c, errors.Join(err, f.Close())
}

// parse reads a whole file, a group at a time. Its errors name the offset.
func parse(file io.Reader) (*contents, error) {
	in := bufio.NewReaderSize(file, sizeFrame+maxBody+1)
	c, err := parseHead(in)
	if err != nil {
		return nil, err
	}
	for at := sizeHead; ; {
		body, err := wholeGroup(in)
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
		if body == nil {
			return c, c.end(in, at)
		}
		if err := c.read(body); err != nil {
			return nil, fmt.Errorf("is damaged at byte %d: %w", at, err)
		}
		if _, err := in.Discard(sizeFrame + len(body)); err != nil {
			return nil, err
		}
		at += sizeFrame + len(body)
	}
}

// peek is up to n bytes, fewer at the end of the file.
func peek(in *bufio.Reader, n int) ([]byte, error) {
	b, err := in.Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

func parseHead(in *bufio.Reader) (*contents, error) {
	head, err := peek(in, sizeHead)
	if err != nil {
		return nil, err
	}
	if string(head[:min(len(head), len(magic))]) != magic {
		return nil, errors.New("does not begin as a journal of this version does (byte 0)")
	}
	if len(head) < sizeHead || sum(head[:sizeHead-4]) != binary.BigEndian.Uint32(head[sizeHead-4:]) {
		return nil, fmt.Errorf("is damaged in its first %d bytes (byte 0)", sizeHead)
	}
	id := head[len(magic):]
	c := &contents{id: string(id[:idSize]), last: binary.BigEndian.Uint64(id[idSize:])}
	_, err = in.Discard(sizeHead)
	return c, err
}

// wholeGroup returns the body of the group that comes next, nil if its checksums are not right.
func wholeGroup(in *bufio.Reader) ([]byte, error) {
	frame, err := peek(in, sizeFrame)
	if err != nil {
		return nil, err
	}
	length, ok := bodyLength(frame)
	if !ok {
		return nil, nil
	}
	group, err := peek(in, sizeFrame+length)
	if err != nil || !isWhole(group) {
		return nil, err
	}
	return group[sizeFrame:], nil
}

// bodyLength is the length that a frame says.
func bodyLength(b []byte) (int, bool) {
	if len(b) < sizeFrame || sum(b[:4]) != binary.BigEndian.Uint32(b[4:]) {
		return 0, false
	}
	length := int(binary.BigEndian.Uint32(b))
	return length, length > 0 && length <= maxBody
}

// isWhole reports whether b begins with a group whose checksums are right.
func isWhole(b []byte) bool {
	length, ok := bodyLength(b)
	return ok && length <= len(b)-sizeFrame && sum(b[sizeFrame:sizeFrame+length]) == binary.BigEndian.Uint32(b[8:])
}

// end is called where no whole group begins: at the end of the file, or at what was not the last write, or was.
func (c *contents) end(in *bufio.Reader, at int) error {
	rest, err := peek(in, sizeFrame+maxBody+1)
	if err != nil {
		return err
	}
	if wholeAfter(rest) {
		return fmt.Errorf("is damaged at byte %d: a whole group of entries follows", at)
	}
	c.torn = len(rest)
	return nil
}

// wholeAfter reports whether what is broken at the beginning of b was not the last write.
func wholeAfter(b []byte) bool {
	if len(b) > sizeFrame+maxBody {
		return true // more than one write leaves
	}
	for i := 1; i+sizeFrame <= len(b); i++ {
		if isWhole(b[i:]) {
			return true
		}
	}
	return false
}

// read takes the entries of one body.
func (c *contents) read(body []byte) error {
	for len(body) > 0 {
		if len(body) < sizeEntry || len(body) < sizeEntry+int(body[sizeEntry-1]) {
			return errors.New("an entry is cut off inside its group")
		}
		e := entry(body[:sizeEntry+int(body[sizeEntry-1])])
		kind, until := int(e[24]), binary.BigEndian.Uint64(e[16:])
		if e.number() <= c.previous || kind == 0 || kind >= len(kindCodes) || until > maxYear9999 || !isName(e.name()) {
			return errors.New("an entry is not one that this version writes")
		}
		c.previous = e.number()
		c.last = max(c.last, c.previous)
		c.entries.add(e)
		body = body[len(e):]
	}
	return nil
}
