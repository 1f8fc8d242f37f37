package house_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`)
	namedTest = regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)\\w+)`")
	lineOf    = regexp.MustCompile(`^(?:Test|Fuzz)([A-Z]\d+)_`)
)

// maxReasons is how many lines of standards may say why they have no test.
const maxReasons = 10

// TestConformance holds docs/conformance.md to the tests, apart from its generator: what it names exists, each of its
// rows names something or says why not, and a test that is named after a line of a standard is in that line's row.
func TestConformance(t *testing.T) {
	page, err := os.ReadFile("docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := testFuncs(t)
	rows := map[string][]string{} // line, such as B6 → what its row names
	reasons := 0
	for row := range strings.Lines(string(page)) {
		if !strings.HasPrefix(row, "| ") {
			continue
		}
		cells := strings.Split(row, "|")
		var names []string
		for _, m := range namedTest.FindAllStringSubmatch(row, -1) {
			if names = append(names, m[1]); !exist[m[1]] {
				t.Errorf("docs/conformance.md names %s, which no file declares", m[1])
			}
		}
		state, last := strings.TrimSpace(cells[len(cells)-3]), strings.TrimSpace(cells[len(cells)-2])
		switch {
		case len(names) > 0 || last == "tests":
		case state == "no test" && last != "":
			reasons++
		default:
			t.Errorf("docs/conformance.md has a row with neither test nor reason: %s", row)
		}
		line := strings.TrimSpace(cells[1])
		rows[line] = append(rows[line], names...)
	}
	for _, name := range slices.Sorted(maps.Keys(exist)) {
		if m := lineOf.FindStringSubmatch(name); m != nil && !slices.Contains(rows[m[1]], name) {
			t.Errorf("docs/conformance.md does not name %s in the row of %s: run make generate", name, m[1])
		}
	}
	if reasons > maxReasons {
		t.Errorf("docs/conformance.md has %d lines without a test, at most %d may be", reasons, maxReasons)
	}
}

// testFuncs are the names of all tests of the main module.
func testFuncs(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || path == "tools") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
