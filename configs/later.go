package configs

import (
	yaml "go.yaml.in/yaml/v4"
)

// inert lists every key that this version accepts and does not act on, with the reason why that weakens nothing.
// Each of them in a file is a warning.
var inert = []struct {
	path   []any
	reason string
}{
	{[]any{"listen", "admin"}, "there is no admin API in this version: nothing listens there, so nobody is let in"},
	{[]any{"revocation", "journal"}, "nothing revokes in this version, so there is nothing to record; a grant ends at its expiry"},
	{[]any{"revocation", "issuers"}, "nothing revokes in this version, so no journal is compared; a grant ends at its expiry"},
}

// later lists the keys that are reserved for later versions. Ignoring one of them would leave an operator with less
// protection than the file says, so each is refused by name unless its value asks for nothing.
var later = map[string]string{
	"listen.internal":      "introspection and the feed are",
	"store.redis.sentinel": "Redis Sentinel is",
	"store.redis.cluster":  "Redis Cluster is",
	"revocation.replicas":  "waiting for replicas is",
	"limits.per_ip":        "limits per address are",
}

func (d *document) warnInert() {
	for _, key := range inert {
		if n := d.find(key.path...); n != nil && !neutral(n) {
			d.warn(d.key(key.path...), "%s has no effect: %s", labelOf(key.path...), key.reason)
		}
	}
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
