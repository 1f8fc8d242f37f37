package configs

import (
	"reflect"
	"strconv"

	yaml "go.yaml.in/yaml/v4"
)

// scalar is a value that reads itself from text. Its error ends a sentence that begins with that text.
type scalar interface {
	read(text string) error
}

var scalarType = reflect.TypeFor[scalar]()

func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(scalarType) {
		return true
	}
	return t.Kind() == reflect.String || t.Kind() == reflect.Bool || t.Kind() == reflect.Int || t.Kind() == reflect.Int64
}

// read is the shorthand `store: memory`.
func (s *StoreSection) read(text string) error {
	if text != "memory" {
		return errStore
	}
	s.memory = true
	return nil
}

// decode fills v, a part of File, from n, and notes every fault on the way. What is broken stays zero, what is
// whole beside it is filled, so that later checks can go on.
func (d *document) decode(n *yaml.Node, v reflect.Value, label string) {
	if d.unread[n] {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), label)
		return
	}
	empty := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
	switch {
	case empty && (v.Kind() == reflect.Struct || v.Kind() == reflect.Map || v.Kind() == reflect.Slice):
		// A section whose keys are all commented out is an absent one.
	case v.Kind() == reflect.Interface:
		if claim := d.anything(n); claim != nil {
			v.Set(reflect.ValueOf(claim))
		}
	case n.Kind == yaml.ScalarNode && isScalar(v.Type()):
		d.decodeScalar(n, v, label)
	case n.Kind == yaml.MappingNode && v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Secret]():
		d.decodeStruct(n, v, label)
	case n.Kind == yaml.MappingNode && v.Kind() == reflect.Map:
		d.decodeMap(n, v, label)
	case n.Kind == yaml.SequenceNode && v.Kind() == reflect.Slice:
		d.decodeList(n, v, label)
	default:
		d.unusable(n, "%s: expected %s, got %s", label, wanted(v.Type()), d.kind(n))
	}
}

// unusable notes a fault of the value n, and keeps later checks from faulting the zero that stands in for it.
func (d *document) unusable(n *yaml.Node, format string, args ...any) {
	d.fault(n, format, args...)
	d.unread[n] = true
}

func (d *document) decodeScalar(n *yaml.Node, v reflect.Value, label string) {
	_, filled := d.written[n] // text from outside of the file has no YAML type of its own
	tag := n.ShortTag()
	if s, ok := v.Addr().Interface().(scalar); ok && tag != "!!null" {
		if err := s.read(n.Value); err != nil {
			d.unusable(n, "%s: %q %v", label, d.shown(n), err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if filled || tag == "!!str" || tag == "!!timestamp" {
			v.SetString(n.Value)
			return
		}
	case reflect.Bool:
		if on, err := strconv.ParseBool(n.Value); err == nil && (filled || tag == "!!bool") {
			v.SetBool(on)
			return
		}
	case reflect.Int, reflect.Int64:
		if i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits()); err == nil && (filled || tag == "!!int") {
			v.SetInt(i)
			return
		}
	}
	d.unusable(n, "%s: expected %s, got %s", label, wanted(v.Type()), d.kind(n))
}

func (d *document) decodeStruct(n *yaml.Node, v reflect.Value, label string) {
	fields := map[string]reflect.Value{}
	var names []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name := f.Tag.Get("yaml"); name != "" {
			fields[name] = v.FieldByIndex(f.Index)
			names = append(names, name)
		}
	}
	for name, e := range d.entries[n] {
		field, known := fields[name]
		switch {
		case known:
			d.decode(e.value, field, join(label, name))
		case !d.refuseLater(e, join(label, name)):
			d.fault(e.key, "unknown key %q%s%s", clip(name), under(label), didYouMean(name, names))
		}
	}
}

func (d *document) decodeMap(n *yaml.Node, v reflect.Value, label string) {
	v.Set(reflect.MakeMapWithSize(v.Type(), len(d.entries[n])))
	for name, e := range d.entries[n] {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, item, join(label, name))
		v.SetMapIndex(reflect.ValueOf(name), item)
	}
}

func (d *document) decodeList(n *yaml.Node, v reflect.Value, label string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.decode(c, v.Index(i), label+"["+strconv.Itoa(i)+"]")
	}
}

// anything is a claim's value as JSON will carry it.
func (d *document) anything(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(d.entries[n]))
		for name, e := range d.entries[n] {
			m[name] = d.anything(e.value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = d.anything(c)
		}
		return list
	}
	if _, filled := d.written[n]; filled {
		return n.Value
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return i
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f-f == 0 { // neither infinite nor NaN: JSON has no such number
			return f
		}
	}
	return n.Value
}

// kind is what n is, in words; what a placeholder brought in is not shown.
func (d *document) kind(n *yaml.Node) string {
	if before, ok := d.written[n]; ok {
		return "what " + before + " stands for"
	}
	return kind(n)
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		if t == reflect.TypeFor[Secret]() {
			return "a secret"
		}
		return "a section"
	case reflect.Map:
		return "a section"
	case reflect.Slice:
		return "a list, such as [a, b]"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text (quote it if need be)"
	case reflect.Int, reflect.Int64:
		if reflect.PointerTo(t).Implements(scalarType) {
			return "a number with its unit"
		}
		return "a whole number"
	default:
		return "a number with its unit"
	}
}

func join(label, name string) string {
	if label == "" {
		return word(name)
	}
	return label + "." + word(name)
}

func under(label string) string {
	if label == "" {
		return ""
	}
	return " in " + label
}
