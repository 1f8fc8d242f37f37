package exchange

// alphabet is what references are written in; a character's place is its value. It is part of the format: fixed.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// invalid marks in valueOf a byte outside the alphabet.
const invalid = 0xff

// putBase62 writes v big-endian into all of dst, with leading zeros: one number has one form, so that encoded forms
// can be compared and nothing has to be decoded first. dst must be long enough for v (11 characters hold 64 bits).
func putBase62(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = alphabet[v%62]
		v /= 62
	}
}

// base62Value is the number that text stands for. The caller has checked the alphabet, and that text is at most 10
// characters, which cannot overflow.
func base62Value(text string) uint64 {
	var v uint64
	for i := range len(text) {
		v = v*62 + uint64(valueOf(text[i]))
	}
	return v
}

// isBase62 reports whether every byte is in the alphabet.
func isBase62(text string) bool {
	for i := range len(text) {
		if valueOf(text[i]) == invalid {
			return false
		}
	}
	return true
}

func valueOf(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'Z':
		return c - 'A' + 10
	case 'a' <= c && c <= 'z':
		return c - 'a' + 36
	}
	return invalid
}
