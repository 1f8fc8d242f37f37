package verifier

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest in a token or a key set.
const maxDepth = 32

// object is a JSON object whose text was checked strictly: the members in their order, values as they stood.
//
// encoding/json alone is no base for a decision: it matches names without case, keeps the last of two members
// with one name, and mends broken UTF-8, so {"sub":"a","SUB":"admin"} reads as admin (RFC 7515 §4, RFC 7519 §4,
// RFC 8259 §4).
type object []member

type member struct{ name, value string }

// raw returns the value that stands under exactly this name.
func (o object) raw(name string) (string, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return "", false
}

// has reports whether there is a member with exactly this name, whatever its value.
func (o object) has(name string) bool {
	_, ok := o.raw(name)
	return ok
}

// text returns the string that stands under this name; false when it is absent or no string.
func (o object) text(name string) (string, bool) {
	raw, ok := o.raw(name)
	if !ok || raw[0] != '"' {
		return "", false
	}
	return unquote(raw)
}

// parseObject checks a JSON object: valid UTF-8 and JSON, at most maxDepth deep, at every level no two members
// with one name. At the top level no two names may differ in case alone either, since services decode the
// payload into structs with encoding/json. The cost is linear in the size.
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errors.New("not valid JSON")
	}
	s := scanner{text: string(data)}
	if s.skipSpace(); s.text[s.pos] != '{' {
		return nil, errors.New("not a JSON object")
	}
	return s.object(1)
}

// parseArray splits a checked value into its elements; false when it is no array.
func parseArray(raw string) ([]string, bool) {
	if raw[0] != '[' {
		return nil, false
	}
	s := scanner{text: raw}
	elements, err := s.array(1)
	return elements, err == nil
}

// unquote decodes a checked JSON string.
func unquote(raw string) (string, bool) {
	if !strings.Contains(raw, `\`) {
		return raw[1 : len(raw)-1], true
	}
	var s string
	err := json.Unmarshal([]byte(raw), &s)
	return s, err == nil
}

// scanner walks over text that json.Valid has accepted, so it need not look for syntax errors: each step may
// rely on what the grammar says must follow.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

// accept steps over c and the space around it, if it is next.
func (s *scanner) accept(c byte) bool {
	s.skipSpace()
	if s.text[s.pos] != c {
		return false
	}
	s.pos++
	s.skipSpace()
	return true
}

// object reads from '{' to behind '}'.
func (s *scanner) object(depth int) (object, error) {
	var members object
	seen := make(map[string]struct{})
	for s.accept('{'); s.text[s.pos] != '}'; s.accept(',') {
		name, ok := unquote(s.str())
		if !ok {
			return nil, errors.New("a name is not readable")
		}
		key := name
		if depth == 1 {
			key = fold(name)
		}
		if _, twice := seen[key]; twice {
			return nil, errors.New("a name occurs twice")
		}
		seen[key] = struct{}{}
		s.accept(':')
		value, err := s.value(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
		s.skipSpace()
	}
	s.pos++
	return members, nil
}

// array reads from '[' to behind ']'.
func (s *scanner) array(depth int) ([]string, error) {
	var elements []string
	for s.accept('['); s.text[s.pos] != ']'; s.accept(',') {
		value, err := s.value(depth)
		if err != nil {
			return nil, err
		}
		elements = append(elements, value)
		s.skipSpace()
	}
	s.pos++
	return elements, nil
}

// value reads one value inside a container at this depth and returns its text.
func (s *scanner) value(depth int) (string, error) {
	if depth == maxDepth {
		return "", errors.New("nested too deep")
	}
	var err error
	start := s.pos
	switch s.text[s.pos] {
	case '{':
		_, err = s.object(depth + 1)
	case '[':
		_, err = s.array(depth + 1)
	case '"':
		s.str()
	default: // a number or a word
		s.pos += strings.IndexAny(s.text[s.pos:], ",]} \t\r\n")
	}
	return s.text[start:s.pos], err
}

// str reads a string with its quotes.
func (s *scanner) str() string {
	start := s.pos
	for s.pos++; s.text[s.pos] != '"'; s.pos++ {
		if s.text[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
	return s.text[start:s.pos]
}

// fold maps names that encoding/json cannot tell apart to one string. Up and down again, because some letters
// meet their fellows only in one of the cases (U+017F with s, U+212A with k).
func fold(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.ToLower(strings.ToUpper(name))
		}
	}
	return name
}
