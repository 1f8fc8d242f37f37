// Schema writes the JSON Schema of the configuration file, for editors, from the types and comments of package configs:
//
//	go -C tools run ./schema
//
// It knows the shape of a file. What names must exist, and what excludes what, only `coatcheck check` knows.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/invopop/jsonschema"
)

const (
	placeholder = `\$\{(env|file):[^{}]*\}`
	title       = "Coatcheck configuration, version 1"
)

func main() {
	room := "../configs"
	if len(os.Args) > 1 {
		room = os.Args[1]
	}
	if err := write(room); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func write(room string) error {
	r := &jsonschema.Reflector{
		Anonymous:                  true, // no $id: the file lies where it lies
		ExpandedStruct:             true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true, // nothing is required: a variable may set what the file does not
		Mapper:                     mapper,
	}
	if err := r.AddGoComments("github.com/coatcheck/coatcheck/configs", room, jsonschema.WithFullComment()); err != nil {
		return fmt.Errorf("read the comments of %s: %w", room, err)
	}
	unwrap(r.CommentMap)
	s := r.Reflect(&configs.File{})
	s.Title, s.Required = title, []string{"version"}
	// store: memory is a shorthand beside the section.
	section := s.Definitions["StoreSection"]
	s.Definitions["StoreSection"] = &jsonschema.Schema{
		Description: section.Description,
		AnyOf:       []*jsonschema.Schema{{Enum: []any{"memory"}}, text("^" + placeholder + "$"), section},
	}
	section.Description = ""
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(room, "coatcheck.schema.json"), out.Bytes(), 0o644)
}

// mapper describes scalars as text reads them. Whatever is no text may also come from a placeholder.
func mapper(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[configs.Duration]():
		return either(text(`^([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$`), zero())
	case reflect.TypeFor[configs.Size]():
		return either(text(`^[0-9]+(B|KiB|MiB|GiB)$`), zero())
	case reflect.TypeFor[configs.Rate]():
		return either(text(`^([0-9]+/[smh]|off|0)$`), zero())
	case reflect.TypeFor[configs.Share]():
		return either(text(`^(100|[0-9]{1,2}(\.[0-9]+)?)%$`), &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"})
	case reflect.TypeFor[configs.Secret]():
		return text(`^\$\{env:[^{}]*\}$`)
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return either(&jsonschema.Schema{Type: "integer"})
	case reflect.Bool:
		return either(&jsonschema.Schema{Type: "boolean"})
	default:
		return nil
	}
}

func either(schemas ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: append(schemas, text(placeholder))}
}

func text(pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: pattern}
}

func zero() *jsonschema.Schema { return &jsonschema.Schema{Const: 0} }

// unwrap makes one line of each comment, which was wrapped for Go, and takes off the Go name that it begins with.
func unwrap(comments map[string]string) {
	for key, text := range comments {
		text = strings.Join(strings.Fields(text), " ")
		if _, rest, ok := strings.Cut(text, "Section is "); ok {
			text = strings.ToUpper(rest[:1]) + rest[1:]
		}
		comments[key] = text
	}
}
