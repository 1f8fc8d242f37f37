package store

import (
	"errors"
	"fmt"
	"strconv"
)

// layout names the keys of one shard. It joins only names that checkName has passed, so no name can reach
// another shard, another kind or another prefix.
type layout struct{ base string }

// newLayouts names the keys of all shards.
func newLayouts(prefix string, shards int) []layout {
	layouts := make([]layout, shards)
	for i := range layouts {
		layouts[i] = layout{prefix + ":{" + strconv.Itoa(i) + "}:"}
	}
	return layouts
}

func (l layout) record(jti string) string         { return l.base + "record:" + jti }
func (l layout) tomb(jti string) string           { return l.base + "tomb:" + jti }
func (l layout) quota(client string) string       { return l.base + "quota:" + client }
func (l layout) state(name string) string         { return l.base + "state:" + name }
func (l layout) registerHead(name string) string  { return l.base + "register:" + name + ":head" }
func (l layout) registerIndex(name string) string { return l.base + "register:" + name + ":index" }

func (l layout) registerEntries(name string) string { return l.base + "register:" + name + ":entries" }
func (l layout) once(name string) string            { return l.base + "once:" + name }
func (l layout) head() string                       { return l.base + "head" }
func (l layout) floors() string                     { return l.base + "floors" }
func (l layout) log() string                        { return l.base + "log" }
func (l layout) journals() string                   { return l.base + "journals" }
func (l layout) votes() string                      { return l.base + "votes" }
func (l layout) seen() string                       { return l.base + "seen" }

// dummy is never there. Deleting it lets a script write that Redis would refuse for want of memory.
func (l layout) dummy() string { return l.base + "dummy" }

// checkName accepts 1 to MaxHandle bytes of [A-Za-z0-9_-]. The refused name is not repeated: it may be anything.
func checkName(what, name string) error {
	if name == "" || len(name) > MaxHandle {
		return fmt.Errorf("%s has %d bytes, must have 1 to %d", what, len(name), MaxHandle)
	}
	for i := range len(name) {
		if !inAlphabet(name[i]) {
			return fmt.Errorf("%s has a byte outside [A-Za-z0-9_-] at %d", what, i)
		}
	}
	return nil
}

func inAlphabet(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// errExpired is a caller's fault like those of check, but only the store's own clock can see it.
var errExpired = errors.New("record has already expired by the store's clock")

// check refuses what Put must not write, before any command is sent.
func (r Record) check() error {
	names := []struct{ what, name string }{
		{"jti", r.JTI}, {"key id", r.KeyID}, {"client", r.Client}, {"family", r.Family}, {"subject", r.Subject},
	}
	for _, n := range names {
		if err := checkName(n.what, n.name); err != nil {
			return err
		}
	}
	if r.First != "" {
		if err := checkName("name of the first token", r.First); err != nil {
			return err
		}
	}
	if len(r.Blob) == 0 || len(r.Blob) > MaxBlob {
		return fmt.Errorf("blob has %d bytes, must have 1 to %d", len(r.Blob), MaxBlob)
	}
	// The year bounds keep all arithmetic, Lua's included, exact.
	if r.IssuedAt.Unix() < 0 || r.ExpiresAt.Year() > 9999 || r.ExpiresAt.Unix() <= r.IssuedAt.Unix() {
		return errors.New("expiry must be a second or more after the issue, between 1970 and 9999")
	}
	return nil
}

func checkState(blob []byte) error {
	if len(blob) == 0 || len(blob) > MaxState {
		return fmt.Errorf("state has %d bytes, must have 1 to %d", len(blob), MaxState)
	}
	return nil
}
