package configs_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the `# want:` lines of testdata/broken from what Load says; review them as data")

// TestBrokenFiles: each file breaks one rule. Its first lines say the faults that Load must find, one a line, and no others.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("testdata/broken: %d files, %v; want at least 40 rules", len(files), err)
	}
	dir := secrets(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text := readText(t, file)
			got := brokenFaults(t, dir, text)
			if *update {
				rewrite(t, dir, file, text, len(got))
				return
			}
			if diff := cmp.Diff(wanted(text), got); diff != "" {
				t.Errorf("%s: faults (-want +got):\n%s", file, diff)
			}
		})
	}
}

func brokenFaults(t *testing.T, dir, text string) []string {
	role := configs.RoleAll
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "# role: "); ok {
			role = configs.Role(name)
		}
	}
	_, err := loadText(t, dir, text, role, map[string]string{"CANARY": "canary-3f9a", "STAMP": key("s")})
	if err == nil {
		t.Fatalf("loads, and must not:\n%s", text)
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a fault shows a secret: %v", err)
	}
	return faultsOf(t, err)
}

func wanted(text string) []string {
	var want []string
	for _, line := range strings.Split(text, "\n") {
		if fault, ok := strings.CutPrefix(line, "# want: "); ok {
			want = append(want, fault)
		}
	}
	return want
}

// rewrite puts one want line per fault first; only then are the lines of the file what the faults name.
func rewrite(t *testing.T, dir, file, text string, faults int) {
	var body []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "# want:") {
			body = append(body, line)
		}
	}
	rest := strings.Join(body, "\n")
	got := brokenFaults(t, dir, strings.Repeat("# want:\n", faults)+rest)
	head := ""
	for _, fault := range got {
		head += "# want: " + fault + "\n"
	}
	if err := os.WriteFile(file, []byte(head+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}
