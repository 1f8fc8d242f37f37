package configs

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// builder checks a decoded file and builds the rooms' values from it. It goes on after a fault: what depends on
// something broken is left out silently, everything else is still looked at.
type builder struct {
	doc   *document
	file  File
	role  Role
	stamp [][]byte // the stamp keys, while the keys of others are held against them
	uses  map[[sha256.Size]byte]use

	keyFiles []*KeyFile
}

// check holds together what single values cannot: names that must exist, keys that exclude each other, what a role needs.
func (b *builder) check() {
	b.checkListen()
	b.checkIssuer()
	b.checkStore()
	b.checkTokens()
	b.checkRevocation()
	b.checkAdmin()
	b.checkAudit()
	b.checkAudiences()
	b.checkUpstreams()
	b.checkRoutes()
	b.checkClients()
	b.checkSealedClaims()
	b.checkTrustedIssuers()
	b.checkLimits()
	b.checkTelemetry()
	b.warnIdle()
}

// need notes a fault if the key is not there at all; one that is there and broken has had its fault.
func (b *builder) need(why string, path ...any) {
	for i := range path {
		if n := b.doc.find(path[:i]...); n != nil && b.doc.unread[n] {
			return
		}
	}
	if b.doc.find(path...) == nil {
		b.doc.fault(b.doc.key(path[:max(len(path)-1, 1)]...), "%s is missing: %s", labelOf(path...), why)
	}
}

// faultAt notes a fault at the value under path, naming it.
func (b *builder) faultAt(path []any, format string, args ...any) {
	b.doc.fault(b.doc.near(path...), "%s: %s", labelOf(path...), fmt.Sprintf(format, args...))
}

// shown is the value at path as the file has it.
func (b *builder) shown(path ...any) string {
	return b.doc.shown(b.doc.near(path...))
}

// set: the key is in the file, or the environment, with a value that has been read.
func (b *builder) set(path ...any) bool {
	n := b.doc.find(path...)
	return n != nil && !b.doc.unread[n]
}

// labelOf writes a path as people say it: routes[1].audience.
func labelOf(path ...any) string {
	var s strings.Builder
	for i, step := range path {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&s, "[%d]", step)
		default:
			if i > 0 {
				s.WriteByte('.')
			}
			s.WriteString(word(fmt.Sprint(step)))
		}
	}
	return s.String()
}

// isName accepts what may name a client, an audience, a scope, a route or an upstream: it ends up in headers, metrics
// and logs, so it is visible ASCII without quote and backslash (scope-token of RFC 6749 §3.3), of at most 128 characters.
func isName(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r == '"' || r == '\\' || r > '~'
	}) < 0
}

func (b *builder) checkName(what string, path ...any) {
	name, _ := path[len(path)-1].(string)
	if !isName(name) {
		b.doc.fault(b.doc.key(path...), "%q cannot name %s: use 1 to 128 visible ASCII characters without space, quote and backslash", clip(name), what)
	}
}

// word is a name fit for a message of one line.
func word(name string) string {
	if isName(name) {
		return name
	}
	return strconv.Quote(clip(name))
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// section is the value at path if it is a mapping.
func (b *builder) section(path ...any) *yaml.Node {
	if n := b.doc.find(path...); n != nil && n.Kind == yaml.MappingNode {
		return n
	}
	return nil
}
