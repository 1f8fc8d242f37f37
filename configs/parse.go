package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// maxFile bounds the YAML file: some 10,000 routes with room to spare.
const maxFile = 1 << 20

// parse turns bytes into one tree of mappings, sequences and scalars with string keys, and nothing else of YAML:
// no second document, no anchors, no aliases (what is written once must not count a million times), no tags.
func (d *document) parse(data []byte) {
	if len(data) > maxFile {
		d.faultAt(1, 1, "is larger than 1 MiB; split what does not belong together, or remove what was pasted in")
		return
	}
	if d.refusedText(data); len(d.faults) > 0 {
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); errors.Is(err, io.EOF) || err == nil && len(first.Content) == 0 {
		d.faultAt(1, 1, "is empty; begin with `version: 1`")
		return
	} else if err != nil {
		d.syntaxFault(data, err)
		return
	}
	if err := decoder.Decode(&second); err == nil {
		d.faultAt(second.Line, second.Column, "a second document begins here; one file holds one configuration: remove it and the `---` before it")
	} else if !errors.Is(err, io.EOF) {
		d.syntaxFault(data, err)
	}
	d.root = first.Content[0]
	if d.plainYAML(d.root); d.root.Kind != yaml.MappingNode {
		d.fault(d.root, "expected sections such as `version: 1`, got %s", kind(d.root))
		d.root = nil
	}
}

// refusedText says what makes a file something else than the text that an editor shows.
func (d *document) refusedText(data []byte) {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		d.faultAt(1, 1, "begins with a byte order mark; save it as UTF-8 without one")
		return
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		indent := len(line) - len(bytes.TrimLeft(line, " \t"))
		if tab := bytes.IndexByte(line[:indent], '\t'); tab >= 0 && indent < len(line) {
			d.faultAt(i+1, tab+1, "a tab in the indentation; YAML wants spaces")
		}
		for at, text := 0, line; len(text) > 0; {
			r, size := utf8.DecodeRune(text)
			if r == utf8.RuneError && size == 1 {
				d.faultAt(i+1, at+1, "is not UTF-8 from here on; save it as UTF-8")
				return
			}
			at, text = at+1, text[size:]
		}
	}
}

// syntaxFault gives the parser's words, and its position where it has one.
func (d *document) syntaxFault(data []byte, err error) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		d.faultAt(1, 1, "is not YAML: %v", err)
		return
	}
	at := le.Mark
	if le.ContextMark.Line > 0 { // where the broken thing began says more than where the file ended
		at = le.ContextMark
	}
	message := strings.TrimPrefix(le.Message, "yaml: ")
	if le.ContextMsg != "" {
		message = le.ContextMsg + ": " + message
	}
	if strings.HasSuffix(message, "mapping values are not allowed in this context") {
		message += "; check the indentation of this line, and that a space follows each ':' of a key"
	}
	if last := bytes.Count(data, []byte("\n")) + 1; at.Line > last { // the parser counts a line end that the file does not have
		at.Line, at.Column = last, 1
	}
	d.faultAt(max(at.Line, 1), max(at.Column, 1), "is not YAML: %s", message)
}

// plainYAML walks the tree once. It ends at each refused node, so it terminates whatever the file holds.
func (d *document) plainYAML(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.unread[n] = true // its anchor has the fault
		return
	case n.Anchor != "":
		d.fault(n, "the anchor &%s; anchors and aliases are not accepted: write the value out where it is needed", n.Anchor)
	case n.Kind == yaml.ScalarNode && n.Style&yaml.TaggedStyle != 0, n.Kind != yaml.ScalarNode && !defaultTag(n):
		d.fault(n, "the tag %s; tags are not accepted: remove it", n.Tag)
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 { // keys and values alternate
			d.plainKey(n, i)
			continue
		}
		d.plainYAML(c)
	}
}

// plainKey accepts the key at n.Content[i] if it is text and the first of its name.
func (d *document) plainKey(n *yaml.Node, i int) {
	key := n.Content[i]
	switch {
	case key.Kind != yaml.ScalarNode:
		d.fault(key, "a key must be text, got %s", kind(key))
		return
	case key.ShortTag() == "!!merge":
		d.fault(key, "the merge key <<; merging is not accepted: write the values out")
		return
	case key.Anchor != "":
		d.fault(key, "the anchor &%s; anchors and aliases are not accepted: write the key out", key.Anchor)
	}
	if first, again := d.entries[n][key.Value]; again {
		d.fault(key, "the key %q stands twice, first in line %d; remove one of them", clip(key.Value), first.key.Line)
		return
	}
	d.enter(n, entry{key, n.Content[i+1]})
}

func defaultTag(n *yaml.Node) bool {
	return n.Tag == "" || n.Tag == "!!map" && n.Kind == yaml.MappingNode || n.Tag == "!!seq" && n.Kind == yaml.SequenceNode
}

// kind says what a node is, in words for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return fmt.Sprintf("the switch %s", clip(n.Value))
	case "!!int", "!!float":
		return fmt.Sprintf("the number %s", clip(n.Value))
	default:
		return fmt.Sprintf("the text %q", clip(n.Value))
	}
}
