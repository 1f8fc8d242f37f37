package exchange

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// contents are what a blob seals. Written as
//
//	4 bytes  length of everything up to the padding, this field not counted
//	2 bytes  length of the manifest, then the manifest
//	1 byte   number of tokens, then for each of them, in ascending order of the audience:
//	         1 byte length of the audience and the audience, 2 bytes length of the token and the token
//	zeros    up to the size class
//
// All lengths are big-endian. There is one way to write given contents, and nothing else is read: no bytes between
// the end and the padding, no audience twice, no empty token.
type contents struct {
	manifest string
	tokens   map[string]Token // by audience
}

const (
	maxManifest  = 1<<16 - 1
	maxTokens    = 1<<8 - 1
	maxAudience  = 1<<8 - 1
	lengthHeader = 4
)

var errContents = errors.New("contents are not what this version writes")

// appendTo writes everything but the padding. ErrTooLarge for what the format or the caps cannot hold.
func (c contents) appendTo(dst []byte) ([]byte, error) {
	if len(c.manifest) > maxManifest || len(c.tokens) > maxTokens {
		return nil, ErrTooLarge
	}
	start := len(dst)
	dst = append(dst, make([]byte, lengthHeader)...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(c.manifest)))
	dst = append(dst, c.manifest...)
	dst = append(dst, byte(len(c.tokens)))
	for _, audience := range slices.Sorted(maps.Keys(c.tokens)) {
		token := c.tokens[audience].Reveal()
		if len(audience) > maxAudience || len(token) > MaxToken {
			return nil, ErrTooLarge
		}
		dst = appendField(dst, audience)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(token)))
		dst = append(dst, token...)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-lengthHeader))
	return dst, nil
}

// readContents reads a padded plain text. What it returns shares no memory with plain, which the caller may wipe.
func readContents(plain []byte) (contents, error) {
	r := reader{rest: plain}
	body := r.take(r.uint(lengthHeader))
	for _, b := range r.rest {
		r.bad = r.bad || b != 0
	}
	r.rest = body

	c := contents{manifest: string(r.take(r.uint(2)))}
	count := r.uint(1)
	c.tokens = make(map[string]Token, count)
	last := ""
	for i := 0; i < count && !r.bad; i++ {
		audience := string(r.take(r.uint(1)))
		size := r.uint(2)
		token := string(r.take(size))
		r.bad = r.bad || audience <= last || size == 0 || size > MaxToken // "" is never an audience
		c.tokens[audience] = NewToken(token)
		last = audience
	}
	if r.bad || len(r.rest) > 0 || c.manifest == "" || count == 0 {
		return contents{}, errContents
	}
	return c, nil
}

// reader takes fields off a buffer. After the first that is not whole it is bad, and yields nothing but zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

// uint reads a big-endian number of at most 4 bytes.
func (r *reader) uint(size int) int {
	v := 0
	for _, b := range r.take(size) {
		v = v<<8 | int(b)
	}
	return v
}
