package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration: where, what, and how to mend it.
type Fault struct {
	File         string // the YAML file; a secret file; or the name of an environment variable
	Line, Column int    // from 1; 0 where File has no lines or no line is to blame
	What         string // one sentence with the mend: "what; did you mean …"
}

// String is file:line:column: what.
func (f Fault) String() string {
	switch {
	case f.Line == 0:
		return fmt.Sprintf("%s: %s", f.File, f.What)
	case f.Column == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.What)
	}
}

// Faults is the error of Load: every fault of the file in one run, in the order of the file.
type Faults []Fault

// Error is one fault per line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts the faults of the YAML file first, by place, then those of the environment and of other files;
// the same fault found twice is told once.
func (f Faults) sorted(file string) Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if a.File != b.File && (a.File == file) != (b.File == file) {
			if a.File == file {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(f)
}
