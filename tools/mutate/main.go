// Mutate takes one safeguard of the revocation protocol out at a time, in a copy that only the compiler sees, and runs
// those who must notice. It fails when one of them does not, or when a safeguard is no longer where the table says.
//
//	go -C tools run ./mutate              all of them
//	go -C tools run ./mutate 'no sleep'   one
//	go -C tools run ./mutate -look        only see that each safeguard is where the table says
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// judge is one who must notice.
type judge string

const (
	// simulation: a world in which something is let through too late.
	simulation judge = "simulation"
	// nemesis: the same with real processes, on Redis.
	nemesis judge = "nemesis"
	// model: the row of revocation/model/table.txt; for what is too rare to be met in a world.
	model judge = "model"
	// tests: a room's own tests; for what no world of the simulation shows.
	tests judge = "tests"
)

// mutant is the code without one safeguard.
type mutant struct {
	name     string
	file     string // from the root
	old, new string // old is there exactly once
	red      judge
	run      string // what go test is given: for a simulation its flags; for tests package and -run
	model    string // the row of revocation/model/table.txt that takes out the same
}

// late is how a simulation or a nemesis names a token and its late decision.
var late = regexp.MustCompile(`(?m)^.*(let token-\d+ through at .*|lets token-\d+ through: minted now.*|decided to let it through .*)$`)

func main() {
	root := flag.String("root", "..", "the repository")
	look := flag.Bool("look", false, "run nothing")
	flag.Parse()
	survived := 0
	for _, m := range mutants {
		if flag.NArg() > 0 && flag.Arg(0) != m.name {
			continue
		}
		begin := time.Now()
		seen, err := m.try(*root, *look)
		if err != nil {
			survived++
			seen = "NOT NOTICED: " + err.Error()
		}
		fmt.Printf("%-32s %-10s %5.1fs  %s\n", m.name, m.red, time.Since(begin).Seconds(), seen)
	}
	if survived > 0 {
		fmt.Fprintf(os.Stderr, "mutate: %d mutants were not noticed\n", survived)
		os.Exit(1)
	}
}

// try gives what its judge saw.
func (m mutant) try(root string, look bool) (seen string, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	if look {
		return "there", nil
	}
	if m.red == model {
		return m.ask(root)
	}
	args := []string{"test", "-tags", "nomsgpack", "-vet=off", "-count=1", "-timeout=10m"}
	switch m.red {
	case simulation:
		args = append(append(args, "./revocation/simulation", "-run=TestSimulation"), strings.Fields(m.run)...)
	case nemesis:
		args = append(append(args, "./revocation/nemesis", "-run=TestNemesis"), strings.Fields(m.run)...)
	default:
		args = append(args, strings.Fields(m.run)...)
	}
	run := exec.Command("go", args...) //nolint:noctx,gosec // it has a timeout of its own, and the table is ours
	run.Dir = root
	run.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay)) // also for what tests build
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", errors.New("all is green")
	case !errors.As(err, &exit):
		return "", err
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		return "", fmt.Errorf("it does not compile: %.400s", out)
	}
	if m.red == tests {
		return regexp.MustCompile(`(?m)^ *--- FAIL: \S+`).FindString(string(out)), nil
	}
	if decision := late.FindString(string(out)); decision != "" {
		return strings.TrimSpace(decision), nil
	}
	return "", fmt.Errorf("it failed without naming a late decision: %.400s", out)
}

// ask asks the model.
func (m mutant) ask(root string) (seen string, err error) {
	out, err := exec.Command(filepath.Join(root, "revocation/model/check.sh"), m.model).Output() //nolint:noctx,gosec // as above
	if err != nil {
		return "", fmt.Errorf("revocation/model/check.sh %s: %w", m.model, err)
	}
	seen, _, _ = strings.Cut(string(out), "\n")
	if !strings.Contains(seen, "breaks") {
		return "", errors.New(seen)
	}
	return strings.Join(strings.Fields(seen), " ") + " (states, steps)", nil
}

// overlay writes the mutant beside the tree, and tells the compiler of it.
func (m mutant) overlay(root, dir string) (path string, err error) {
	file, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s has the safeguard %d times, want once; change the table with the code", m.file, n)
	}
	mutated := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutated}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, replace, 0o600)
}
