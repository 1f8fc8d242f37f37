package configs_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v4"
)

// The schema is generated (go -C tools run ./schema); these tests say that it tells editors the same as Load.

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("coatcheck.schema.json")
	if err != nil {
		t.Fatalf("the schema does not compile: %v", err)
	}
	return s
}

// instance is what a validator sees of a YAML text.
func instance(t *testing.T, text string) any {
	t.Helper()
	var tree any
	if err := yaml.Load([]byte(text), &tree, yaml.WithUniqueKeys(false)); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	data, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestSchemaAcceptsEverySample(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for file := range samples {
		if err := s.Validate(instance(t, sampleText(t, file, "secrets"))); err != nil {
			t.Errorf("%s loads, but the schema refuses it: %v", file, err)
		}
	}
}

// TestSchemaRefusesWrongShapes: what is wrong by shape alone shows in the editor already.
func TestSchemaRefusesWrongShapes(t *testing.T) {
	t.Parallel()
	s := schema(t)
	var shapes []string
	for _, pattern := range []string{"unknown-*", "type-*", "*-without-unit", "rate-*", "share-*", "number-*", "store-unknown", "later-*", "redis-password-in-the-file", "version-missing"} {
		files, err := filepath.Glob("testdata/broken/" + pattern + ".yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("testdata/broken/%s.yaml: %v, %v", pattern, files, err)
		}
		shapes = append(shapes, files...)
	}
	for _, file := range shapes {
		if s.Validate(instance(t, readText(t, file))) == nil {
			t.Errorf("%s: the schema accepts what Load refuses by its shape", file)
		}
	}
}

// TestSchemaKnowsTheUnits holds the patterns of the schema against the parsers of Load.
func TestSchemaKnowsTheUnits(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, u := range units {
		text := "version: 1\n" + u.section + ": {" + u.key + ": " + u.text + "}\n"
		if err := s.Validate(instance(t, text)); (err == nil) != u.ok {
			t.Errorf("%s.%s: %s: schema says %v, want ok=%v", u.section, u.key, u.text, err, u.ok)
		}
	}
}
