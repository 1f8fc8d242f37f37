package revocation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// A journal file is a header, then groups; integers are big endian, checksums CRC-32C.
//
//	header  "coatcheck journal 1\n" | id, 32 hex digits | last number given before this file was written, 8 bytes | checksum
//	group   length of the body, 4 bytes | checksum of the length | checksum of the body | body
//	body    entries: number, 8 | appended at, Unix s, 8 | until, Unix s, 8 | kind, 1 | length of the name, 1 | name
//
// A group is one write and one fsync, and the next is written only after that fsync. So what a crash may cut off is the
// last group, in any way: also pages of zeros with whole pages after them. What is not whole, and has a whole group
// behind it, was fsynced once: the file is damaged, and nothing of it is believed.
const (
	magic     = "coatcheck journal 1\n"
	idSize    = 32
	sizeHead  = len(magic) + idSize + 8 + 4
	sizeFrame = 4 + 4 + 4
	sizeEntry = 8 + 8 + 8 + 1 + 1
	maxBody   = maxAppend * (sizeEntry + store.MaxHandle)
)

// kindCodes numbers the kinds by their place; the numbers are in files, so they stay.
var kindCodes = [...]Kind{1: Token, 2: Family, 3: Client, 4: Subject, 5: Before, 6: Key}

func kindByte(k Kind) (byte, bool) {
	i := slices.Index(kindCodes[1:], k)
	return byte(i + 1), i >= 0
}

// entry is a revocation, its number, and when it was asked for.
type entry struct {
	store.Numbered
	appended int64 // Unix s; for people
}

func newEntry(number uint64, appended int64, r Revocation) entry {
	r.Until = time.Unix(r.Until.Unix(), 0)
	return entry{store.Numbered{Number: number, Revocation: r}, appended}
}

// alive reports whether the entry may still name something alive, by the store's clock. Keys are revoked for ever.
func (e entry) alive(now time.Time) bool {
	return e.Kind == Key || now.Before(e.Until.Add(afterlife))
}

func sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func appendHead(b []byte, id string, last uint64) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, id...)
	b = binary.BigEndian.AppendUint64(b, last)
	return binary.BigEndian.AppendUint32(b, sum(b[start:]))
}

// appendGroup frames at most maxAppend entries.
func appendGroup(b []byte, entries []entry) []byte {
	start := len(b)
	b = append(b, make([]byte, sizeFrame)...)
	for _, e := range entries {
		kind, _ := kindByte(e.Kind)
		b = binary.BigEndian.AppendUint64(b, e.Number)
		b = binary.BigEndian.AppendUint64(b, uint64(e.appended))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Until.Unix()))
		b = append(b, kind, byte(len(e.Name)))
		b = append(b, e.Name...)
	}
	frame, body := b[start:start+sizeFrame], b[start+sizeFrame:]
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	binary.BigEndian.PutUint32(frame[4:], sum(frame[:4]))
	binary.BigEndian.PutUint32(frame[8:], sum(body))
	return b
}

// contents is what a journal file says.
type contents struct {
	id      string
	last    uint64 // the last number that was ever given
	entries []entry
	torn    int // bytes at the end that a crash cut off
}

// parse reads a whole file. Its errors name the offset.
func parse(file []byte) (contents, error) {
	c, err := parseHead(file)
	if err != nil {
		return contents{}, err
	}
	for at := sizeHead; at < len(file); {
		body, ok := wholeGroup(file[at:])
		if !ok {
			if wholeAfter(file[at:]) {
				return contents{}, fmt.Errorf("is damaged at byte %d: a whole group of entries follows", at)
			}
			c.torn = len(file) - at
			return c, nil
		}
		if err := c.read(body); err != nil {
			return contents{}, fmt.Errorf("is damaged at byte %d: %w", at, err)
		}
		at += sizeFrame + len(body)
	}
	return c, nil
}

func parseHead(file []byte) (contents, error) {
	if !strings.HasPrefix(string(file[:min(len(file), len(magic))]), magic) {
		return contents{}, errors.New("does not begin as a journal of this version does (byte 0)")
	}
	if len(file) < sizeHead || sum(file[:sizeHead-4]) != binary.BigEndian.Uint32(file[sizeHead-4:]) {
		return contents{}, fmt.Errorf("is damaged in its first %d bytes (byte 0)", sizeHead)
	}
	id := file[len(magic):]
	return contents{id: string(id[:idSize]), last: binary.BigEndian.Uint64(id[idSize:])}, nil
}

// wholeGroup returns the body of the group that b begins with, if its checksums are right.
func wholeGroup(b []byte) ([]byte, bool) {
	if len(b) < sizeFrame || sum(b[:4]) != binary.BigEndian.Uint32(b[4:]) {
		return nil, false
	}
	length := int(binary.BigEndian.Uint32(b))
	if length == 0 || length > maxBody || length > len(b)-sizeFrame {
		return nil, false
	}
	body := b[sizeFrame : sizeFrame+length]
	return body, sum(body) == binary.BigEndian.Uint32(b[8:])
}

// wholeAfter reports whether what is broken at the beginning of b was not the last write.
func wholeAfter(b []byte) bool {
	if len(b) > sizeFrame+maxBody {
		return true // more than one write leaves
	}
	for i := 1; i+sizeFrame <= len(b); i++ {
		if _, ok := wholeGroup(b[i:]); ok {
			return true
		}
	}
	return false
}

// read appends the entries of one body.
func (c *contents) read(body []byte) error {
	for len(body) > 0 {
		if len(body) < sizeEntry || len(body) < sizeEntry+int(body[sizeEntry-1]) {
			return errors.New("an entry is cut off inside its group")
		}
		number := binary.BigEndian.Uint64(body)
		appended := int64(binary.BigEndian.Uint64(body[8:]))
		until := int64(binary.BigEndian.Uint64(body[16:]))
		kind, size := int(body[24]), int(body[25])
		name := string(body[sizeEntry : sizeEntry+size])
		if number <= c.previous() || kind == 0 || kind >= len(kindCodes) || !isName(name) {
			return errors.New("an entry is not one that this version writes")
		}
		c.last = max(c.last, number)
		c.entries = append(c.entries, newEntry(number, appended, Revocation{Kind: kindCodes[kind], Name: name, Until: time.Unix(until, 0)}))
		body = body[sizeEntry+size:]
	}
	return nil
}

// previous is the number of the last entry read: those that were there when the file was written anew may be below the
// last number given by then.
func (c *contents) previous() uint64 {
	if len(c.entries) == 0 {
		return 0
	}
	return c.entries[len(c.entries)-1].Number
}

// isName reports whether s is a name as the store takes it.
func isName(s string) bool {
	outside := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	return s != "" && len(s) <= store.MaxHandle && !strings.ContainsFunc(s, outside)
}
