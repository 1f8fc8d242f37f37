// Package house_test holds the architecture as data: which room may import which, and which library lives in
// which room. A new arrow is a design change: change the data below and write a page in docs/decisions.
package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/coatcheck/coatcheck"

// arrows lists, for each room, the rooms that it may import. "*" is the door: it names everyone.
// Packages whose name ends in "test" are kits for tests; they may import their own room and what it may import.
var arrows = map[string][]string{
	// ground: imports nothing of ours
	"store":    {},
	"routes":   {},
	"verifier": {},
	"audit":    {},
	// the verifier's adapters
	"verifier/ginverifier": {"verifier"},
	// the cores
	"revocation": {"store"},
	"exchange":   {"revocation", "verifier", "store"},
	// the rooms
	"gateway": {"exchange", "routes"},
	"issuer":  {"exchange", "revocation", "verifier", "issuer/clients", "issuer/envelope", "issuer/keyring", "issuer/sealing", "issuer/trust"},
	"admin":   {}, // rooms hand it their handlers
	// the issuer's own
	"issuer/clients":  {"issuer/sealing", "store", "verifier"},
	"issuer/envelope": {"verifier"},
	"issuer/keyring":  {"issuer/sealing", "verifier"},
	"issuer/sealing":  {},
	"issuer/trust":    {"verifier"},
	// the desk
	"configs": {"audit", "gateway", "issuer", "issuer/clients", "issuer/envelope", "issuer/keyring", "issuer/sealing", "issuer/trust", "exchange", "revocation", "routes", "verifier", "store"},
	// the door
	"cmd/coatcheck": {"*"},
	// kits for tests
	"store/storetest":           {"store"},
	"issuer/trust/trusttest":    {},
	"exchange/exchangetest":     {"exchange", "revocation", "verifier", "store", "store/storetest"},
	"cmd/coatcheck/processtest": {"store/storetest"},
}

// homes says which rooms may import a library. A library that is not listed may be used anywhere but in the
// verifier, which services compile in: verifierDiet lists all that it may import.
var homes = map[string][]string{
	"github.com/gin-gonic/gin":           {"gateway", "verifier/ginverifier"},
	"github.com/redis/go-redis":          {"store"},
	"github.com/golang-jwt/jwt":          {"issuer", "verifier"},
	"github.com/go-jose/go-jose":         {"verifier", "issuer/envelope"},
	"github.com/maypok86/otter":          {"exchange", "gateway"},
	"github.com/alexedwards/argon2id":    {"issuer/clients"},
	"go.yaml.in/yaml":                    {"configs"},
	"github.com/spf13/cobra":             {"cmd/coatcheck"},
	"go.opentelemetry.io/otel/sdk":       {"cmd/coatcheck"},
	"go.opentelemetry.io/otel/exporters": {"cmd/coatcheck"},
	"github.com/prometheus":              {"cmd/coatcheck"},
}

var verifierDiet = []string{"github.com/golang-jwt/jwt", "github.com/go-jose/go-jose"}

func TestArrowsBetweenRooms(t *testing.T) {
	for room, files := range shipped(t) {
		allowed, known := arrows[room]
		if !known {
			t.Errorf("package %s is not in the house: give it a room in house_test.go and a page in docs/decisions", room)
			continue
		}
		if slices.Contains(allowed, "*") {
			continue
		}
		for file, imports := range files {
			for _, imp := range imports {
				target, ours := strings.CutPrefix(imp, module+"/")
				if ours && !slices.Contains(allowed, target) {
					t.Errorf("%s imports %s: no such arrow from %s; it may import %v", file, target, room, allowed)
				}
			}
		}
	}
}

func TestOneLibraryOneRoom(t *testing.T) {
	for room, files := range shipped(t) {
		for file, imports := range files {
			for _, imp := range imports {
				for library, rooms := range homes {
					if within(imp, library) && !slices.Contains(rooms, room) {
						t.Errorf("%s imports %s, whose home is %v", file, imp, rooms)
					}
				}
				if room == "verifier" && !standard(imp) && !slices.ContainsFunc(verifierDiet, func(l string) bool { return within(imp, l) }) {
					t.Errorf("%s imports %s: services compile the verifier in, it may import only %v", file, imp, verifierDiet)
				}
			}
		}
	}
}

// TestNoHiddenStart keeps what a package does visible: nothing runs because it was imported.
func TestNoHiddenStart(t *testing.T) {
	walk(t, func(room, file string, f *ast.File) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: build what it sets up in a constructor", file)
			}
		}
	})
}

// TestRoomsExist keeps the data above honest: a row without a package is a wish.
func TestRoomsExist(t *testing.T) {
	rooms := shipped(t)
	for _, room := range slices.Sorted(maps.Keys(arrows)) {
		if _, ok := rooms[room]; !ok {
			t.Errorf("house_test.go names %s, which has no Go file", room)
		}
	}
}

// shipped maps room → file → imports, for every file that is not a test.
func shipped(t *testing.T) map[string]map[string][]string {
	t.Helper()
	rooms := map[string]map[string][]string{}
	walk(t, func(room, file string, f *ast.File) {
		if rooms[room] == nil {
			rooms[room] = map[string][]string{}
		}
		imports := []string{}
		for _, s := range f.Imports {
			imp, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				t.Fatalf("%s: import %s: %v", file, s.Path.Value, err)
			}
			imports = append(imports, imp)
		}
		rooms[room][file] = imports
	})
	return rooms
}

// walk parses every shipped Go file of the main module; modules of their own (tools) are not ours to judge.
func walk(t *testing.T, visit func(room, file string, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || p == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(path.Dir(filepath.ToSlash(p)), p, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func within(imp, library string) bool { return imp == library || strings.HasPrefix(imp, library+"/") }

func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}
