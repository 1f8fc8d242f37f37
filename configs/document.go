package configs

import (
	"fmt"
	"path/filepath"

	yaml "go.yaml.in/yaml/v4"
)

// document is the YAML tree of one file with the places of its values, and the faults found so far.
// Values are named by path: section names as strings, places in lists as ints.
type document struct {
	path     string
	root     *yaml.Node
	entries  map[*yaml.Node]map[string]entry // of each mapping
	origin   map[*yaml.Node]string           // values that a COATCHECK_ variable gave: its name
	written  map[*yaml.Node]string           // values that were expanded: the text before, which may be shown
	unread   map[*yaml.Node]bool             // values that stayed zero: broken, or a placeholder that this role must not open
	faults   Faults
	warnings []Fault
}

// entry is one line of a mapping.
type entry struct{ key, value *yaml.Node }

func newDocument(path string) *document {
	return &document{
		path:    path,
		entries: map[*yaml.Node]map[string]entry{},
		origin:  map[*yaml.Node]string{},
		written: map[*yaml.Node]string{},
		unread:  map[*yaml.Node]bool{},
	}
}

// find returns the value at path, or nil.
func (d *document) find(path ...any) *yaml.Node {
	n := d.root
	for _, step := range path {
		if n = d.child(n, step); n == nil {
			return nil
		}
	}
	return n
}

// near is find for messages: where the path ends early, the last value that is there.
func (d *document) near(path ...any) *yaml.Node {
	n := d.root
	for _, step := range path {
		next := d.child(n, step)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// key returns the key node of the mapping entry at path, or what is near it.
func (d *document) key(path ...any) *yaml.Node {
	last := len(path) - 1
	if name, ok := path[last].(string); ok {
		if e, ok := d.entries[d.find(path[:last]...)][name]; ok {
			return e.key
		}
	}
	return d.near(path...)
}

func (d *document) enter(n *yaml.Node, e entry) {
	if d.entries[n] == nil {
		d.entries[n] = map[string]entry{}
	}
	d.entries[n][e.key.Value] = e
}

func (d *document) child(n *yaml.Node, step any) *yaml.Node {
	if i, ok := step.(int); ok && n != nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	name, _ := step.(string)
	return d.entries[n][name].value
}

// fault notes one thing wrong at n.
func (d *document) fault(n *yaml.Node, format string, args ...any) {
	d.faults = append(d.faults, d.at(n, fmt.Sprintf(format, args...)))
}

func (d *document) faultAt(line, column int, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.path, Line: line, Column: column, What: fmt.Sprintf(format, args...)})
}

func (d *document) warn(n *yaml.Node, format string, args ...any) {
	d.warnings = append(d.warnings, d.at(n, fmt.Sprintf(format, args...)))
}

func (d *document) at(n *yaml.Node, what string) Fault {
	if name := d.origin[n]; name != "" {
		return Fault{File: name, What: what}
	}
	return Fault{File: d.path, Line: max(n.Line, 1), Column: max(n.Column, 1), What: what}
}

// shown is the value as the file has it: what a placeholder stood for may be a secret and is never shown.
func (d *document) shown(n *yaml.Node) string {
	if text, ok := d.written[n]; ok {
		return clip(text)
	}
	return clip(n.Value)
}

// beside makes a path of the file absolute: relative ones are relative to the YAML file, wherever the process started.
func (d *document) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	path = filepath.Join(filepath.Dir(d.path), path)
	if whole, err := filepath.Abs(path); err == nil { // else there is no working directory; the path is right as it is
		return whole
	}
	return path
}
