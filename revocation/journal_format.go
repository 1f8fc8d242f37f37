package revocation

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"

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

// appendEntry appends one entry to the body of a group.
func appendEntry(body []byte, number uint64, appended int64, r Revocation) []byte {
	kind, _ := kindByte(r.Kind)
	body = binary.BigEndian.AppendUint64(body, number)
	body = binary.BigEndian.AppendUint64(body, uint64(appended))
	body = binary.BigEndian.AppendUint64(body, uint64(r.Until.Unix()))
	body = append(body, kind, byte(len(r.Name)))
	return append(body, r.Name...)
}

func sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func appendHead(b []byte, id string, last uint64) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, id...)
	b = binary.BigEndian.AppendUint64(b, last)
	return binary.BigEndian.AppendUint32(b, sum(b[start:]))
}

// frame is what comes before the body of a group.
func frame(body []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, sizeFrame), uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, sum(b))
	return binary.BigEndian.AppendUint32(b, sum(body))
}

// isName reports whether s is a name as the store takes it.
func isName(s string) bool {
	outside := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	return s != "" && len(s) <= store.MaxHandle && !strings.ContainsFunc(s, outside)
}
