package routes

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a parsed Match.
type pattern struct {
	method   string // empty: any
	host     string // empty: any
	segments []segment
}

// segment is a piece of a pattern's path.
type segment struct {
	kind kind
	text string // a literal, decoded; a wildcard's name
}

type kind uint8

const (
	literal kind = iota
	wild         // {x}
	rest         // {x...}, or a final slash; always last
	end          // {$}: a final slash and nothing behind it; always last
	none         // what stands behind the last; never in a pattern
)

// maxLiteral is the longest literal segment in bytes, so that a request's can be decoded without allocating.
const maxLiteral = 255

// methods that a rule may name: RFC 9110, PATCH and QUERY, and WebDAV with its versioning. A closed list, so that a slip of the
// pen is a message and not a rule that never matches.
var methods = [...]string{
	"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
	"SEARCH", "REPORT", "ACL", "CHECKIN", "CHECKOUT", "UNCHECKOUT", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKWORKSPACE", "LABEL", "UPDATE", "VERSION-CONTROL",
	"BASELINE-CONTROL", "BIND", "REBIND", "UNBIND", "LINK", "UNLINK", "ORDERPATCH",
}

// parse reads a Match; its errors name the mend.
func parse(s string) (*pattern, error) {
	if strings.TrimSpace(s) == "" {
		return nil, errors.New(`it is empty: write a pattern such as "GET /orders/{rest...}"`)
	}
	var p pattern
	text := s
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		p.method, text = s[:i], strings.TrimLeft(s[i:], " \t")
		if err := checkMethod(p.method); err != nil {
			return nil, err
		}
	}
	slash := strings.IndexByte(text, '/')
	if slash < 0 {
		return nil, errors.New("it has no path: begin it with a slash")
	}
	p.host = strings.ToLower(text[:slash])
	if err := checkHost(p.host); err != nil {
		return nil, err
	}
	var err error
	p.segments, err = parsePath(text[slash:])
	return &p, err
}

func checkMethod(m string) error {
	switch upper := strings.ToUpper(m); {
	case slices.Contains(methods[:], m):
		return nil
	case m == "TRACE" || m == "CONNECT":
		return fmt.Errorf("%s is never forwarded: leave it out", m)
	case slices.Contains(methods[:], upper):
		return fmt.Errorf("methods are case-sensitive: write %s", upper)
	}
	return fmt.Errorf("unknown method %q: write one such as GET or POST, or none for all", m)
}

func checkHost(h string) error {
	if inside, ok := strings.CutPrefix(h, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		if err != nil || "["+addr.String()+"]" != h {
			return fmt.Errorf("host %q is not an IPv6 address in its shortest form, without a port", h)
		}
		return nil
	}
	switch {
	case h == "":
		return nil
	case strings.ContainsAny(h, "{}*"):
		return errors.New("hosts are exact: write each out in its own rule, or begin the path with a slash")
	case strings.Contains(h, ":"):
		return errors.New("hosts are matched without their port: leave it out")
	case strings.Trim(h, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || slices.Contains(strings.Split(h, "."), ""):
		return fmt.Errorf("host %q is not a name: letters, digits, '-' and single dots inside (xn--… for others)", h)
	}
	return nil
}

func parsePath(path string) ([]segment, error) {
	var segments []segment
	names := map[string]bool{}
	for path != "" { // path begins with a slash
		end := strings.IndexByte(path[1:], '/') + 1
		if end == 0 {
			end = len(path)
		}
		s, err := parseSegment(path[1:end], end == len(path))
		if err != nil {
			return nil, err
		}
		if (s.kind == wild || s.kind == rest) && s.text != "" {
			if names[s.text] {
				return nil, fmt.Errorf("wildcard {%s} stands twice: give each its own name", s.text)
			}
			names[s.text] = true
		}
		segments, path = append(segments, s), path[end:]
	}
	return segments, nil
}

func parseSegment(text string, last bool) (segment, error) {
	if text == "" && last {
		return segment{kind: rest}, nil
	}
	if !strings.ContainsAny(text, "{}") {
		return parseLiteral(text)
	}
	name, ok := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !ok || !closed || strings.ContainsAny(name, "{}") {
		return segment{}, fmt.Errorf("segment %q: a wildcard is a whole segment, such as {id}", text)
	}
	s := segment{kind: wild, text: name}
	if name == "$" {
		s = segment{kind: end}
	} else if inner, ok := strings.CutSuffix(name, "..."); ok {
		s = segment{kind: rest, text: inner}
	}
	if s.kind != wild && !last {
		return segment{}, fmt.Errorf("%s stands before the end: only the last segment can be that", text)
	}
	if s.kind != end && !identifier(s.text) {
		return segment{}, fmt.Errorf("wildcard name %q: use letters, digits and '_', a letter first", s.text)
	}
	return s, nil
}

// parseLiteral decodes a segment and refuses what the edge lets no request contain.
func parseLiteral(text string) (segment, error) {
	plain, err := url.PathUnescape(text)
	switch {
	case text == "":
		return segment{}, errors.New("it has an empty segment, which no request has: write single slashes")
	case err != nil:
		return segment{}, fmt.Errorf("segment %q: write %% as %%25", text)
	case text == "*" || strings.HasPrefix(text, ":") && identifier(text[1:]):
		return segment{}, fmt.Errorf("segment %q: wildcards are written {name} or {rest...}; percent-encode the character if it is meant", text)
	case len(plain) > maxLiteral:
		return segment{}, fmt.Errorf("segment %.20q… is longer than %d bytes", text, maxLiteral)
	case plain == "." || plain == "..":
		return segment{}, errors.New("it has a dot segment, which no request has")
	case strings.ContainsAny(text, " \t?#;"):
		return segment{}, fmt.Errorf("segment %q: a path holds no blanks, queries, fragments or parameters; percent-encode the character if it is meant", text)
	case !utf8.ValidString(plain) || strings.ContainsFunc(plain, func(c rune) bool { return c < ' ' || c == 0x7f || c == '/' || c == '\\' }):
		return segment{}, fmt.Errorf("segment %q: it encodes a slash, a backslash, a control or what is not UTF-8, which no request does", text)
	}
	return segment{kind: literal, text: plain}, nil
}

func identifier(s string) bool {
	for i, c := range s {
		if !unicode.IsLetter(c) && c != '_' && (i == 0 || !unicode.IsDigit(c)) {
			return false
		}
	}
	return s != ""
}
