package exchange

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"time"
)

// The parts of a reference after "<prefix>_", and their order.
const (
	randomSize = 43 // 62^43 > 2^256
	minuteSize = 5  // enough until the year 3711
	tagSize    = 11 // 62^11 > 2^64
	crcSize    = 6  // 62^6 > 2^32
	bodySize   = randomSize + minuteSize + tagSize + crcSize

	maxPrefix  = 12
	maxStamped = maxPrefix + len(refreshMark) + 1 + bodySize
)

const (
	stampLabel   = "coatcheck/v1/stamp"
	stampIDLabel = "coatcheck/v1/stamp-id"
	pepperLabel  = "coatcheck/v1/pepper"
	stampKeySize = 32

	// maxAhead is how far the clock of an issuer may run ahead of an edge's.
	maxAhead = 2 * time.Minute
)

var prefixForm = regexp.MustCompile(`^[a-z0-9]{2,12}$`)

// Stamper makes references and recognises its own by their tag. Stamp keys are shared by issuers and edges and are
// rotated in two steps: a new key is first added at the end everywhere (accepted), then moved to the front (used).
// Its keys can be replaced while it is in use (Replace); it is safe for concurrent use.
type Stamper struct{ form }

// form is one kind of stamped string. Two kinds differ in prefix and in the label of their tags, so none passes for the other.
type form struct {
	_       [0]func() // not comparable
	prefix  string    // with the underscore
	label   string
	longest time.Duration // that one lives
	keys    *stampKeys    // first stamps, all are accepted
}

// stampKey is one key, reduced to what is needed of it. It is only ever held by its address, which is what a
// formatter of anything that holds it would print.
type stampKey struct {
	id     [4]byte // log-safe; in the clear header of every record
	tag    *mac
	pepper []byte
}

// NewStamper takes the configured prefix ([a-z0-9]{2,12}), the longest life of a reference (older ones are
// refused before any look-up) and 32-byte stamp keys; the first stamps, all are accepted.
func NewStamper(prefix string, longest time.Duration, keys ...[]byte) (*Stamper, error) {
	switch {
	case !prefixForm.MatchString(prefix):
		return nil, fmt.Errorf("exchange: prefix %q: want 2 to 12 of a-z and 0-9", prefix)
	case longest <= 0:
		return nil, fmt.Errorf("exchange: longest life %v: want more than 0", longest)
	case len(keys) == 0:
		return nil, errors.New("exchange: no stamp key: want at least one")
	}
	all, err := newStampKeys(keys)
	if err != nil {
		return nil, err
	}
	s := &Stamper{form{prefix: prefix + "_", label: stampLabel, longest: longest, keys: &stampKeys{}}}
	s.keys.now.Store(&all)
	return s, nil
}

func newStampKey(key []byte) *stampKey {
	part := func(label string, size int) []byte {
		return derive(append([]byte(nil), key...), nil, label, size)
	}
	return &stampKey{
		id:     [4]byte(part(stampIDLabel, 4)),
		tag:    newMAC(key),
		pepper: part(pepperLabel, sealSize),
	}
}

// KeyIDs are log-safe ids of the loaded keys, first first: 8 hex characters each.
func (s *Stamper) KeyIDs() []string {
	all := s.keys.all()
	ids := make([]string, len(all))
	for i, k := range all {
		ids[i] = hex.EncodeToString(k.id[:])
	}
	return ids
}

// key finds a loaded key, or nil.
func (f *form) key(id [4]byte) *stampKey { return keyOf(f.keys.all(), id) }

// Format writes "[stamper]" for every verb.
func (s *Stamper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[stamper]") }

// New makes a reference with 256 random bits, stamped with the current minute.
func (s *Stamper) New() Reference {
	return s.stamp(randomPart(rand.Reader), minuteOf(time.Now()))
}

func (s *Stamper) stamp(random [randomSize]byte, minute uint64) Reference {
	return Reference{hide(s.write(random, minute))}
}

// write stamps with the first key.
func (f *form) write(random [randomSize]byte, minute uint64) string {
	text := make([]byte, 0, maxStamped)
	text = append(text, f.prefix...)
	text = append(text, random[:]...)
	text = appendBase62(text, minuteSize, minute)
	text = appendBase62(text, tagSize, f.tag(f.keys.all()[0], text[len(f.prefix):]))
	text = appendBase62(text, crcSize, uint64(crc32.ChecksumIEEE(text)))
	return string(text)
}

// Parse recognises a presented string. *Refusal with ReasonMalformed, ReasonForged or ReasonStale. It allocates
// nothing when it accepts.
func (s *Stamper) Parse(raw string) (Reference, error) { return s.parse(raw, time.Now()) }

func (s *Stamper) parse(raw string, now time.Time) (Reference, error) {
	if err := s.check(raw, now); err != nil {
		return Reference{}, err
	}
	return Reference{hide(raw)}, nil
}

// check checks, in this order: length, prefix, alphabet, checksum, tag under each key, age. Everything is compared in
// its encoded form, so a second spelling of the same string does not exist. Only the tag is secret, and compared
// in constant time.
func (f *form) check(raw string, now time.Time) error {
	if len(raw) != len(f.prefix)+bodySize || raw[:len(f.prefix)] != f.prefix || !isBase62(raw[len(f.prefix):]) {
		return refuse(ReasonMalformed, nil)
	}
	crcAt := len(raw) - crcSize
	var crc [crcSize]byte
	putBase62(crc[:], uint64(crc32.ChecksumIEEE(view(raw[:crcAt]))))
	if string(crc[:]) != raw[crcAt:] {
		return refuse(ReasonMalformed, nil)
	}
	tagAt := crcAt - tagSize
	if !f.stamped(view(raw[len(f.prefix):tagAt]), view(raw[tagAt:crcAt])) {
		return refuse(ReasonForged, nil)
	}
	if f.stale(base62Value(raw[tagAt-minuteSize:tagAt]), now) {
		return refuse(ReasonStale, nil)
	}
	return nil
}

// stamped reports whether one of our keys made tag.
func (f *form) stamped(signed, tag []byte) bool {
	for _, k := range f.keys.all() {
		var want [tagSize]byte
		putBase62(want[:], f.tag(k, signed))
		if subtle.ConstantTimeCompare(want[:], tag) == 1 {
			return true
		}
	}
	return false
}

// tag is 64 bits of HMAC-SHA256. signed is the random part and the minute, as they are written.
func (f *form) tag(k *stampKey, signed []byte) uint64 {
	var buf [maxMACText]byte
	sum := k.tag.sum(f.tagInput(buf[:0], signed))
	return binary.BigEndian.Uint64(sum[:8])
}

// tagInput is label, prefix, random part and minute, each behind its length in one byte, so that no two different
// strings read the same.
func (f *form) tagInput(dst, signed []byte) []byte {
	dst = appendField(dst, f.label)
	dst = appendField(dst, f.prefix[:len(f.prefix)-1])
	dst = appendField(dst, signed[:randomSize])
	return appendField(dst, signed[randomSize:])
}

// stale reports whether a string of that minute can no longer, or not yet, be live. It was issued at some moment of
// its minute, so it may have lived up to one minute less than it seems.
func (f *form) stale(minute uint64, now time.Time) bool {
	issued := time.Unix(int64(minute)*60, 0)
	return issued.After(now.Add(maxAhead)) || now.Sub(issued) > f.longest+time.Minute
}

func minuteOf(t time.Time) uint64 { return uint64(t.Unix() / 60) }

// randomPart draws characters of the alphabet, each as likely as any other: the low six bits of each random byte,
// drawn again when they are 62 or 63.
func randomPart(source io.Reader) (part [randomSize]byte) {
	var pool [64]byte
	for n := 0; n < randomSize; {
		if _, err := io.ReadFull(source, pool[:]); err != nil { // crypto/rand never fails
			panic("exchange: internal error: random source: " + err.Error())
		}
		for _, b := range pool {
			if b &= 63; b < 62 && n < randomSize {
				part[n] = alphabet[b]
				n++
			}
		}
	}
	clear(pool[:])
	return part
}

// appendField appends a field behind its length, which is one byte.
func appendField[T string | []byte](dst []byte, field T) []byte {
	return append(append(dst, byte(len(field))), field...)
}

func appendBase62(dst []byte, size int, v uint64) []byte {
	dst = append(dst, "00000000000"[:size]...)
	putBase62(dst[len(dst)-size:], v)
	return dst
}
