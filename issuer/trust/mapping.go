package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mapping says which claims of a foreign token are taken over, and as what.
type mapping []mapped

type mapped struct {
	name string   // ours
	path []string // from the top of the payload
}

// newMapping refuses every name that means something to us, also in other letters: some JSON readers take "SUB" for
// "sub". Names that differ in case alone are one name, for the same reason.
func newMapping(c map[string]string, reserved []string) (mapping, error) {
	var m mapping
	var faults []error
	taken := slices.Clone(reserved)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if name == "" || slices.ContainsFunc(taken, func(r string) bool { return strings.EqualFold(r, name) }) {
			faults = append(faults, fmt.Errorf("claim %q is set by the issuer alone, or twice: choose another name", name))
			continue
		}
		taken = append(taken, name)
		path, err := parsePath(c[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("claim %q: %w", name, err))
		}
		m = append(m, mapped{name, path})
	}
	return m, errors.Join(faults...)
}

// parsePath reads a name as it stands, URLs included, or a JSON pointer (RFC 6901).
func parsePath(text string) ([]string, error) {
	if text == "" || text == "/" {
		return nil, errors.New("says nowhere: write the name of a claim, or a path such as /realm_access/roles")
	}
	if text[0] != '/' {
		return []string{text}, nil
	}
	var path []string
	for step := range strings.SplitSeq(text[1:], "/") {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(step), "~") {
			return nil, errors.New("has a ~ that is not ~0 or ~1 (RFC 6901 §3)")
		}
		path = append(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return path, nil
}

func (m mapping) names() []string {
	all := make([]string, len(m))
	for n, one := range m {
		all[n] = one.name
	}
	return all
}

// apply takes the claims out of a token. What is too much is refused and not cut: half a list of groups may be the half
// that forbids something.
func (m mapping) apply(c claims) (map[string]json.RawMessage, error) {
	found := map[string]json.RawMessage{}
	size := 0
	for _, one := range m {
		value := walk(c.all, one.path)
		if len(value) == 0 || string(value) == "null" {
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, invalid("a mapped claim is not valid JSON")
		}
		name, err := json.Marshal(one.name)
		if err != nil {
			return nil, invalid("a mapped claim has no name")
		}
		if size += len(`,:`) + len(name) + compact.Len(); size > MaxClaims {
			return nil, invalid("its mapped claims are over 2 KiB")
		}
		found[one.name] = compact.Bytes()
	}
	return found, nil
}

// walk goes down through objects; nothing where the path leads nowhere.
func walk(o map[string]json.RawMessage, path []string) json.RawMessage {
	value := o[path[0]]
	if len(path) == 1 {
		return value
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(value, &inner) != nil {
		return nil
	}
	return walk(inner, path[1:])
}
