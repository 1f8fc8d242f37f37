package exchange

import "crypto/sha256"

// maxMACText bounds what a mac authenticates: a reference or the input of its tag, both well below it.
const maxMACText = 96

// mac is HMAC-SHA256 (RFC 2104) under one key, with the padded key blocks ready. It works on the stack: crypto/hmac
// would allocate for every sum, or need a pool, and this runs for every request, forged ones included.
type mac struct {
	_            [0]func() // not comparable
	inner, outer [sha256.BlockSize]byte
}

// newMAC takes a key of at most one block (ours have 32 bytes); a longer one would have to be hashed first.
func newMAC(key []byte) *mac {
	if len(key) > sha256.BlockSize {
		panic("exchange: internal error: MAC key is longer than a block")
	}
	m := new(mac)
	copy(m.inner[:], key)
	copy(m.outer[:], key)
	for i := range m.inner {
		m.inner[i] ^= 0x36
		m.outer[i] ^= 0x5c
	}
	return m
}

// sum is SHA-256(outer, SHA-256(inner, text)).
func (m *mac) sum(text []byte) [sha256.Size]byte {
	if len(text) > maxMACText {
		panic("exchange: internal error: MAC text is too long")
	}
	var in [sha256.BlockSize + maxMACText]byte
	copy(in[:], m.inner[:])
	n := copy(in[sha256.BlockSize:], text)
	digest := sha256.Sum256(in[:sha256.BlockSize+n])

	var out [sha256.BlockSize + sha256.Size]byte
	copy(out[:], m.outer[:])
	copy(out[sha256.BlockSize:], digest[:])
	return sha256.Sum256(out[:])
}
