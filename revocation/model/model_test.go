// Package model_test keeps the table between the model and the code honest.
package model_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryStepOfTheModelIsAFunction compares the model's steps with the table in README.md, and that with the source.
func TestEveryStepOfTheModelIsAFunction(t *testing.T) {
	t.Parallel()
	steps, named := table(t)
	taken := regexp.MustCompile(`(?m)^  /\* ([A-Z][A-Za-z]+)(:| \*/)`).FindAllStringSubmatch(read(t, "revocation.pml"), -1)
	if len(taken) < 20 {
		t.Errorf("%d steps found in revocation.pml, want at least 20: does this test still read it?", len(taken))
	}
	for _, m := range taken {
		if !steps[m[1]] {
			t.Errorf("step %s of revocation.pml is not in the table of README.md", m[1])
		}
		delete(steps, m[1])
	}
	for step := range steps {
		t.Errorf("step %s of README.md is not in revocation.pml", step)
	}
	exist := methods(t, "revocation", "store", "exchange")
	for _, name := range named {
		if !exist[name] {
			t.Errorf("README.md names %s, which does not exist", name)
		}
	}
}

// TestEveryRowIsExplained: what the run prints, README.md explains; a row stands for its kin by a prefix.
func TestEveryRowIsExplained(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	_, readme, _ = strings.Cut(readme, "## The rows")
	kin := regexp.MustCompile(`^(plain|one-disaster|two-disasters|two-edges|allows|answers)`)
	for line := range strings.Lines(read(t, "table.txt")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.TrimSpace(strings.Split(line, "|")[1])
		if name := cmp.Or(kin.FindString(row), row); !strings.Contains(readme, name) {
			t.Errorf("row %s of table.txt is not explained in README.md", row)
		}
	}
}

// table reads the steps and the functions out of README.md.
func table(t *testing.T) (steps map[string]bool, functions []string) {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "README.md"), "| Step | Taken by |\n|---|---|\n")
	text, _, _ = strings.Cut(text, "\n\n")
	steps = map[string]bool{}
	function := regexp.MustCompile("`([a-z]+\\.[A-Za-z]+\\.[A-Za-z]+)`")
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		for step := range strings.SplitSeq(cells[1], ",") {
			steps[strings.TrimSpace(step)] = true
		}
		for _, m := range function.FindAllStringSubmatch(cells[2], -1) {
			functions = append(functions, m[1])
		}
	}
	return steps, functions
}

// methods lists "room.Type.Method" of all methods in the shipped files of some rooms.
func methods(t *testing.T, rooms ...string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, room := range rooms {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files of %s: %v", room, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
					found[room+"."+receiver(fn)+"."+fn.Name.Name] = true
				}
			}
		}
	}
	return found
}

func receiver(fn *ast.FuncDecl) string {
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	name, ok := of.(*ast.Ident)
	if !ok {
		return ""
	}
	return name.Name
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
