package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	testName = regexp.MustCompile(`^(?:Test|Fuzz|Example|Benchmark)`)
	lineOf   = regexp.MustCompile(`^(?:Test|Fuzz)([A-Z]\d+)_`)
)

// tests are those of the repository, by name.
type tests struct {
	names []string
	after map[string][]string // line → those that are named after it, sorted
}

// findTests reads the declarations of every _test.go file.
func findTests(root string) (tests, error) {
	found := tests{after: map[string][]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) {
				found.add(f.Name.Name)
			}
		}
		return nil
	})
	for _, names := range found.after {
		slices.Sort(names)
	}
	return found, err
}

func (t *tests) add(name string) {
	if slices.Contains(t.names, name) {
		return // the same name in two packages
	}
	t.names = append(t.names, name)
	if m := lineOf.FindStringSubmatch(name); m != nil {
		t.after[m[1]] = append(t.after[m[1]], name)
	}
}
