package configs

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// envPrefix begins the variables that set keys: COATCHECK_ and the path of a scalar key outside of lists and named
// entries, in capitals, joined by underscores. COATCHECK_LISTEN_GATEWAY sets listen.gateway. A variable wins over
// the file. COATCHECK_STORE sets store as a whole (memory).
const envPrefix = "COATCHECK_"

// UnknownVariables finds the variables of environ (as os.Environ gives it) that begin with COATCHECK_ and set nothing:
// a misspelt one would otherwise be the key that nobody set. own names the caller's other variables.
// Those that Kubernetes writes for a Service called coatcheck are left alone.
func UnknownVariables(environ []string, own ...string) Faults {
	known := slices.AppendSeq(slices.Clone(own), maps.Keys(variables()))
	var faults Faults
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) && !kubernetesName.MatchString(name) {
			mend := didYouMean(name, known)
			if section := withoutVariables(name); section != "" {
				mend = "; lists and named entries have no variables: write ${env:…} in the file, under " + section
			}
			faults = append(faults, Fault{File: name, What: "sets no key of the configuration" + mend})
		}
	}
	return faults.sorted("")
}

var kubernetesName = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// overlay puts the variables' values into the tree, making the sections that are missing.
func (d *document) overlay(lookup func(string) (string, bool)) {
	known := variables()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		text, set := lookup(name)
		if !set {
			continue
		}
		path := known[name]
		n := d.root
		for _, step := range path[:len(path)-1] {
			n = d.section(n, step)
		}
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
		d.origin[value], d.written[value] = name, "${env:"+name+"}"
		d.put(n, path[len(path)-1], value)
	}
}

// section returns the mapping under step, in place of whatever else was there.
func (d *document) section(n *yaml.Node, step string) *yaml.Node {
	if next := d.child(n, step); next != nil && next.Kind == yaml.MappingNode {
		return next
	}
	next := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	d.put(n, step, next)
	return next
}

// put replaces the whole entry, so that a fault of the value that lost is not told.
func (d *document) put(n *yaml.Node, name string, value *yaml.Node) {
	if e, ok := d.entries[n][name]; ok {
		n.Content[slices.Index(n.Content, e.value)] = value
		d.enter(n, entry{e.key, value})
		return
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
	n.Content = append(n.Content, key, value)
	d.enter(n, entry{key, value})
}

// variables lists every variable and the path of the key that it sets.
func variables() map[string][]string {
	all := map[string][]string{}
	walkKeys(func(path []string, t reflect.Type) {
		if isScalar(t) {
			all[variable(path)] = path
		}
	})
	return all
}

// withoutVariables is the key of the list or of the named entries that the variable would lie in; or empty.
func withoutVariables(name string) (key string) {
	walkKeys(func(path []string, t reflect.Type) {
		own := variable(path)
		if (t.Kind() == reflect.Map || t.Kind() == reflect.Slice) && (name == own || strings.HasPrefix(name, own+"_")) {
			key = strings.Join(path, ".")
		}
	})
	return key
}

func variable(path []string) string { return envPrefix + strings.ToUpper(strings.Join(path, "_")) }

// walkKeys visits every key of the file but version, down to lists and named entries.
func walkKeys(visit func(path []string, t reflect.Type)) {
	var walk func(t reflect.Type, path []string)
	walk = func(t reflect.Type, path []string) {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if len(path) > 0 {
			visit(path, t)
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for _, field := range reflect.VisibleFields(t) {
			if name := field.Tag.Get("yaml"); name != "" && name != "version" {
				walk(field.Type, append(slices.Clone(path), name))
			}
		}
	}
	walk(reflect.TypeFor[File](), nil)
}
