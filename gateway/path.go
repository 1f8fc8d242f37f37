package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// canonicalPath is the one spelling of a path (RFC 3986 §6.2.2): escapes of unreserved characters are decoded, the digits of
// the others raised. Refused is what servers read in more than one way: empty and dot segments, raw or escaped, any escape
// of a slash, a backslash or a control, path parameters (';', which some cut off and some keep), bytes that a path must escape
// (so all non-ASCII ones) and escapes that are not UTF-8, such as the overlong %C0%AF. A path that is canonical already costs no allocation.
func canonicalPath(raw string) (string, error) {
	if !strings.HasPrefix(raw, "/") {
		return "", fault("it does not begin with a slash")
	}
	escapes, rewrite := false, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '%':
			if !escapeAt(raw, i) {
				return "", fault("% is not followed by two hexadecimal digits")
			}
			b := unhex(raw[i+1])<<4 | unhex(raw[i+2])
			if b == '/' || b == '\\' || b < ' ' || b == 0x7f {
				return "", fault("it holds an encoded slash, backslash or control")
			}
			escapes, rewrite = true, rewrite || unreserved(b) || raw[i+1] >= 'a' || raw[i+2] >= 'a'
			i += 2
		case c == '/' && i > 0 && raw[i-1] == '/':
			return "", fault("it holds an empty segment")
		case c == ';':
			return "", fault("path parameters are not supported")
		case c != '/' && !pchar(c):
			return "", fault("it holds a byte that must be percent-encoded")
		}
	}
	path := raw
	if rewrite {
		path = normalized(raw)
	}
	if hasDots(path) {
		return "", fault("it holds a dot segment")
	}
	if escapes && !innocent(path) {
		return "", fault("it holds a hidden dot segment or is not UTF-8")
	}
	return path, nil
}

func fault(why string) error { return fmt.Errorf("%w: %s", errTarget, why) }

// normalized decodes the escapes of unreserved characters in a valid path and raises the digits of the others.
func normalized(raw string) string {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			out = append(out, raw[i])
			continue
		}
		const digits = "0123456789ABCDEF"
		hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
		if b := hi<<4 | lo; unreserved(b) {
			out = append(out, b)
		} else {
			out = append(out, '%', digits[hi], digits[lo])
		}
		i += 2
	}
	return string(out)
}

// innocent looks through repeated encoding: a server behind the upstream may decode once more, and %252E%252E must not be a way
// up for it. Each pass is linear and few are allowed, for every level of nesting costs the attacker only two bytes.
func innocent(path string) bool {
	var space [512]byte
	plain := unescape(space[:0], path)
	if !utf8.Valid(plain) {
		return false
	}
	for range 3 {
		if hasDots(plain) {
			return false
		}
		if !bytes.ContainsRune(plain, '%') {
			return true
		}
		shorter := unescape(plain[:0], plain) // in place: decoding never lengthens
		if len(shorter) == len(plain) {
			return true
		}
		plain = shorter
	}
	return false
}

// hasDots reports a segment "." or "..", also as `..;x` or between backslashes.
func hasDots[T string | []byte](s T) bool {
	start := 0 // of the segment
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '/' && s[i] != '\\' && s[i] != ';' {
			continue
		}
		switch i - start {
		case 1:
			if s[start] == '.' {
				return true
			}
		case 2:
			if s[start] == '.' && s[start+1] == '.' {
				return true
			}
		}
		start = i + 1
	}
	return false
}

// unescape appends s to dst with its escapes decoded; a '%' that begins none stays.
func unescape[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && escapeAt(s, i) {
			dst = append(dst, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}

func escapeAt[T string | []byte](s T, i int) bool {
	return i+2 < len(s) && ishex(s[i+1]) && ishex(s[i+2])
}

func ishex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex is the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// unreserved characters mean the same escaped or not (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// pchar is what a segment may hold unescaped (RFC 3986 §3.3), save ';'.
func pchar(c byte) bool { return unreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0 }
