package configs

import (
	yaml "go.yaml.in/yaml/v4"
)

// later lists the keys that are reserved for later versions. Ignoring one of them would leave an operator with less
// protection than the file says, so each is refused by name unless its value asks for nothing.
var later = map[string]string{
	"store.redis.sentinel": "Redis Sentinel is",
	"store.redis.cluster":  "Redis Cluster is",
	"limits.per_ip":        "limits per address are",
}

// refuseLater reports whether the key is known for later, and notes a fault if it asks for something now.
func (d *document) refuseLater(e entry, label string) bool {
	what, known := later[label]
	if known && !neutral(e.value) {
		d.fault(e.key, "%s: %s not in this version; remove the key", label, what)
	}
	return known
}

// neutral: the value asks for nothing, whatever the key means.
func neutral(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value == "" || n.Value == "0" || n.Value == "off" || n.Value == "false" || n.ShortTag() == "!!null"
	default:
		return len(n.Content) == 0
	}
}
