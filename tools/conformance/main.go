// Conformance writes docs/conformance.md from docs/conformance.tsv and the tests that there are:
//
//	go -C tools run ./conformance
//
// It fails, and writes nothing, when a line has neither a test nor a reason, when a test is named that does not exist or
// after a line that does not, and when there are more reasons than allowed.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// maxReasons is how many lines may say why they have no test: more would be a list of exceptions.
const maxReasons = 10

func main() {
	root := ".."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := write(root); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	source, err := os.ReadFile(filepath.Join(root, "docs/conformance.tsv"))
	if err != nil {
		return err
	}
	sections, err := parse(string(source))
	if err != nil {
		return fmt.Errorf("docs/conformance.tsv, %w", err)
	}
	tests, err := findTests(root)
	if err != nil {
		return err
	}
	if err := tests.settle(sections); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs/conformance.md"), page(sections), 0o644)
}

// settle gives each row its tests, and says all that is wrong.
func (t tests) settle(sections []section) error {
	var wrong []error
	lines := map[string]bool{}
	reasons := 0
	for _, s := range sections {
		for _, r := range s.rows {
			if r.line != "" && lines[r.line] {
				wrong = append(wrong, fmt.Errorf("docs/conformance.tsv, line %d: %s a second time", r.at, r.line))
			}
			lines[r.line] = true
			for _, name := range r.tests {
				if !slices.Contains(t.names, name) {
					wrong = append(wrong, fmt.Errorf("docs/conformance.tsv, line %d: there is no test %s", r.at, name))
				}
			}
			r.tests = merge(t.after[r.line], r.tests)
			switch {
			case len(r.tests) == 0 && r.reason == "":
				wrong = append(wrong, fmt.Errorf("docs/conformance.tsv, line %d: %s has neither a test nor a reason", r.at, r.name()))
			case len(r.tests) > 0 && r.reason != "":
				wrong = append(wrong, fmt.Errorf("docs/conformance.tsv, line %d: %s has tests and says why it has none", r.at, r.name()))
			case r.reason != "":
				reasons++
			}
		}
	}
	for line, names := range t.after {
		if !lines[line] {
			wrong = append(wrong, fmt.Errorf("%v: docs/conformance.tsv has no line %s", names, line))
		}
	}
	if reasons > maxReasons {
		wrong = append(wrong, fmt.Errorf("docs/conformance.tsv: %d lines say why they have no test, at most %d may", reasons, maxReasons))
	}
	return errors.Join(wrong...)
}

// merge is both, each once.
func merge(own, more []string) []string {
	all := slices.Clone(own)
	for _, name := range more {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
