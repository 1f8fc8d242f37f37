package configs

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	yaml "go.yaml.in/yaml/v4"
)

// Public is what a client of a deployment may know of its file: where to go, and as whom. It holds no secret, and
// reading it opens none.
type Public struct {
	Issuer  string
	Gateway string   // listen.gateway, as the file has it; empty: not in this file
	TLS     bool     // the listeners speak TLS
	Clients []string // ids, sorted
}

// publicKeys are the sections that LoadPublic looks at. Values of others, placeholders included, stay where they are.
var publicKeys = []string{"version", "issuer", "insecure_plaintext", "listen"}

// LoadPublic reads those parts of a file that are for clients, as strictly as Load. The error is as Load's.
func LoadPublic(path string, lookup func(string) (string, bool)) (*Public, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	d := newDocument(path)
	d.parse(data)
	var public *Public
	if d.root != nil {
		public = d.public(lookup)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted(path)
	}
	return public, nil
}

func (d *document) public(lookup func(string) (string, bool)) *Public {
	d.overlay(lookup)
	b := &builder{doc: d, role: RoleGateway}
	p := &Public{
		TLS:     b.section("tls") != nil,
		Clients: slices.Sorted(maps.Keys(d.entries[d.find("clients")])),
	}
	whole := d.root
	d.root = &yaml.Node{Kind: yaml.MappingNode, Line: whole.Line, Column: whole.Column}
	for _, name := range publicKeys {
		if e, ok := d.entries[whole][name]; ok {
			d.root.Content = append(d.root.Content, e.key, e.value)
			d.enter(d.root, e)
		}
	}
	(&expander{document: d, role: RoleGateway, lookup: lookup}).expand(d.root, "", false)
	if d.otherVersion() {
		return nil
	}
	d.decode(d.root, reflect.ValueOf(&b.file).Elem(), "")
	b.checkIssuer()
	p.Issuer, p.Gateway = b.file.Issuer, b.file.Listen.Gateway
	return p
}
