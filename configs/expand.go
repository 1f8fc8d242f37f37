package configs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// placeholder is ${env:NAME}, ${env:NAME:-default} or ${file:path}; $${ stands for ${ itself.
// What a placeholder brings in is not searched for placeholders again.
var placeholder = regexp.MustCompile(`\$?\$\{[^{}]*\}?`)

// secretKeys are the keys whose values are secrets.
var secretKeys = []string{"password", "encryption_key", "stamp_keys", "secret", "token"}

// expander fills the placeholders of one file.
type expander struct {
	*document
	role   Role
	lookup func(string) (string, bool)
}

// expand fills every value below n. A process opens only what its role uses: a gateway leaves the placeholders
// of clients and operators alone, so their secrets need not be where it runs. key is the nearest key above n.
func (x *expander) expand(n *yaml.Node, key string, unused bool) {
	if n.Kind == yaml.ScalarNode {
		x.scalar(n, key, unused)
		return
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key = n.Content[i-1].Value
			x.expand(c, key, unused || n == x.root && x.role == RoleGateway && (key == "clients" || key == "admin"))
			continue
		}
		x.expand(c, key, unused)
	}
}

func (x *expander) scalar(n *yaml.Node, key string, unused bool) {
	if !strings.Contains(n.Value, "${") {
		return
	}
	before := n.Value
	if unused {
		x.written[n], x.unread[n] = before, true
		return
	}
	// The parser's own words about this value must not show what comes in.
	x.written[n] = before
	n.Value = placeholder.ReplaceAllStringFunc(before, func(found string) string {
		if escaped, ok := strings.CutPrefix(found, "$$"); ok {
			return "$" + escaped
		}
		text, err := x.fill(found, key)
		if err != nil {
			x.fault(n, "%s: %v", found, err)
			x.unread[n] = true
		}
		return text
	})
}

func (x *expander) fill(found, key string) (string, error) {
	inside, closed := strings.CutSuffix(strings.TrimPrefix(found, "${"), "}")
	source, name, _ := strings.Cut(inside, ":")
	switch {
	case !closed:
		return "", fmt.Errorf("has no closing brace; write $${ for the two characters themselves")
	case source == "env":
		name, fallback, hasFallback := strings.Cut(name, ":-")
		if text, ok := x.lookup(name); ok && (text != "" || !hasFallback) {
			return text, nil
		}
		if hasFallback {
			return fallback, nil
		}
		if slices.Contains(secretKeys, key) { // a default would be a secret in the file
			return "", fmt.Errorf("is not set; set it, or use %s_file", key)
		}
		return "", fmt.Errorf("is not set; set it, or write ${env:%s:-default}", name)
	case source == "file":
		return readSecret(x.beside(name), anyReader)
	default:
		return "", fmt.Errorf("is not a placeholder; write ${env:NAME}, ${env:NAME:-default}, ${file:path}, or $${ for the two characters themselves")
	}
}
