package main

import "bytes"

// minReference is how long a run of base62 after an underscore must be to be taken for a reference (the real one
// has 65). Key ids and jtis are shorter, so that they stay readable.
const minReference = 50

// redact masks whatever looks like a reference or a JWT in one log line. It is the last of three walls, for the
// line that somebody writes in a hurry: references and JWTs have types that do not print, and no room logs them.
// It works on the finished line, so that no attribute, group or error text goes round it. A line without either
// comes back as it is, without a copy.
func redact(line []byte) []byte {
	line = mask(line, []byte("eyJ"), 0, jwtByte, 16, "[jwt]")
	return mask(line, []byte("_"), 1, base62Byte, minReference, "[reference]")
}

// mask replaces each run of at least least bytes that start at (or, with skip, right after) the mark.
func mask(line, mark []byte, skip int, in func(byte) bool, least int, with string) []byte {
	var out []byte
	rest := line
	for {
		at := bytes.Index(rest, mark)
		if at < 0 {
			break
		}
		end := at + skip
		for end < len(rest) && in(rest[end]) {
			end++
		}
		if end-at-skip >= least {
			out = append(append(out, rest[:at]...), with...)
		} else {
			end = at + len(mark)
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	if out == nil {
		return line
	}
	return append(out, rest...)
}

func base62Byte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func jwtByte(c byte) bool { return base62Byte(c) || c == '-' || c == '_' || c == '.' }
