package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Why a request is refused before it is matched. What is wrapped around them is constant text, safe to show a client.
var (
	errTarget     = errors.New("gateway: request target is not canonical")
	errHost       = errors.New("gateway: host is missing or malformed")
	errQuery      = errors.New("gateway: query is malformed")
	errQueryToken = errors.New("gateway: credentials in the query") // RFC 9700 §4.3.2
	// errMethod comes with a complete target, so that the answer can list what is allowed there.
	errMethod = errors.New("gateway: method is never forwarded")
)

// target is what a request asks for, in the one form that is both matched and forwarded. Two servers that read the
// same bytes differently are how a rule for one path ends up guarding another, so what has two readings has no target.
type target struct {
	method   string
	host     string // lower-case, without port and final dot
	path     string // canonical and still escaped, see canonicalPath
	rawQuery string // the client's bytes
	bare     bool   // a '?' with nothing behind it
}

// freeze reads the target of r, or says why it has none. It believes the request line alone: r.URL is already one
// parser's opinion of it.
func freeze(r *http.Request) (target, error) {
	line, err := originForm(r)
	if err != nil {
		return target{}, err
	}
	raw, query, asked := strings.Cut(line, "?")
	t := target{method: r.Method, rawQuery: query, bare: asked && query == ""}
	if t.path, err = canonicalPath(raw); err != nil {
		return target{}, err
	}
	if t.host, err = canonicalHost(r.Host); err != nil {
		return target{}, err
	}
	if err := checkQuery(query); err != nil {
		return target{}, err
	}
	return t, checkMethod(t.method)
}

// apply writes t to u, so that u's request line has exactly t's path and query.
func (t target) apply(u *url.URL) {
	u.Path = t.path
	if strings.IndexByte(t.path, '%') >= 0 {
		u.Path = string(unescape(nil, t.path))
	}
	// url.URL sends RawPath only while it decodes to Path, and canonicalPath lets nothing through that it would escape anew.
	u.RawPath, u.Opaque = t.path, ""
	u.RawQuery, u.ForceQuery = t.rawQuery, t.bare
	u.Fragment, u.RawFragment = "", ""
}

// holds reports whether r, after apply(r.URL), still asks for t: foreign handlers may have run in between.
func (t target) holds(r *http.Request) bool {
	host, err := canonicalHost(r.Host)
	return err == nil && host == t.host && r.Method == t.method && r.URL.Opaque == "" &&
		r.URL.EscapedPath() == t.path && r.URL.RawQuery == t.rawQuery
}

// without returns t with as many segments taken off the front of its path as prefix has. The route that matched begins with
// prefix; counting instead of comparing leaves room for the same segments in another spelling (%3A for a colon).
func (t target) without(prefix string) target {
	for range strings.Count(strings.TrimSuffix(prefix, "/"), "/") {
		after := strings.IndexByte(t.path[1:], '/') + 1
		if after == 0 {
			t.path = "/"
			return t
		}
		t.path = t.path[after:]
	}
	return t
}

// originForm is the request line's target as path and query. An absolute-form target (RFC 9112 §3.2.2) may name only the
// authority that net/http has already taken as r.Host; user information in it is refused.
func originForm(r *http.Request) (string, error) {
	line := r.RequestURI
	if strings.HasPrefix(line, "/") {
		return line, nil
	}
	scheme, rest, ok := strings.Cut(line, "://")
	if !ok || r.ProtoMajor != 1 || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", fmt.Errorf("%w: it does not begin with a slash", errTarget)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if rest[:end] != r.Host {
		return "", fmt.Errorf("%w: its authority is malformed", errTarget)
	}
	if rest = rest[end:]; !strings.HasPrefix(rest, "/") {
		rest = "/" + rest // RFC 9110 §4.2.3
	}
	return rest, nil
}

// checkMethod accepts upper-case names only, so that `get` cannot pass by a rule for GET and be served as one. TRACE and its
// alias TRACK echo the credentials that we add; CONNECT asks for a tunnel.
func checkMethod(m string) error {
	switch m {
	case http.MethodTrace, http.MethodConnect, "TRACK", "":
		return errMethod
	}
	for i := range len(m) {
		if c := m[i]; (c < 'A' || c > 'Z') && c != '-' {
			return errMethod
		}
	}
	return nil
}

// canonicalHost is the name alone: lower-case, no port, no final dot. Names are ASCII (IDNs arrive as xn--…); IPv6 addresses keep
// their brackets and take their shortest form.
func canonicalHost(s string) (string, error) {
	name, port := s, ""
	if strings.HasPrefix(s, "[") {
		inside, after, ok := strings.Cut(s[1:], "]")
		addr, err := netip.ParseAddr(inside)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", errHost
		}
		name, port = "["+addr.String()+"]", after
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			name, port = s[:i], s[i:]
		}
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if !hostname(name) {
			return "", errHost
		}
	}
	if port != "" && (port[0] != ':' || len(port) > len(":65535") || strings.Trim(port[1:], "0123456789") != "") {
		return "", errHost
	}
	return name, nil
}

func hostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	label := 0 // bytes in the label so far
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && label > 0:
			label = 0
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		default:
			return false
		}
	}
	return label > 0
}

// checkQuery accepts a query that every server splits at the same places, or none of it: the proxy underneath would silently
// drop `b;c=1` and `%zz`, and some servers read ';' as '&'. What passes, passes byte for byte.
func checkQuery(q string) error {
	for i := range len(q) {
		switch c := q[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			return fmt.Errorf("%w: it holds a byte that must be percent-encoded", errQuery)
		case c == ';':
			return fmt.Errorf("%w: encode a semicolon as %%3B", errQuery)
		case c == '%' && !escapeAt(q, i):
			return fmt.Errorf("%w: %% is not followed by two hexadecimal digits", errQuery)
		}
	}
	for q != "" {
		var pair string
		pair, q, _ = strings.Cut(q, "&")
		if name, _, _ := strings.Cut(pair, "="); namesToken(name) {
			return errQueryToken
		}
	}
	return nil
}

// namesToken reports whether a server might read the parameter as access_token (RFC 6750 §2.3). Some fold case; some drop
// blanks before a name and what follows a blank, a NUL or a bracket (an index) behind it; some make '_' of '.', '+', blank and '['.
// None is known to do so with '-': access-token is another name. The name may be of any length: only its beginning counts.
func namesToken(name string) bool {
	var space [32]byte // more than access_token in any case: a long s and a Kelvin sign have 2 and 3 bytes
	plain := space[:0]
	for i := 0; i < len(name) && len(plain) < len(space); i++ {
		c := name[i]
		if c == '%' && escapeAt(name, i) {
			c = unhex(name[i+1])<<4 | unhex(name[i+2])
			i += 2
		}
		blank := c == '+' || c <= ' '
		switch {
		case blank && len(plain) == 0:
			continue
		case (blank || c == '[') && isAccessToken(plain):
			return true
		case blank || c == '[' || c == '.':
			c = '_'
		}
		plain = append(plain, c)
	}
	return isAccessToken(plain)
}

func isAccessToken(name []byte) bool { return bytes.EqualFold(name, []byte("access_token")) }
