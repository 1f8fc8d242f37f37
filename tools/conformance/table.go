package main

import (
	"fmt"
	"slices"
	"strings"
)

// section is one table of the page.
type section struct {
	title   string
	prose   []string
	columns []string
	rows    []*row
}

// row is one line of a standard, or one trap, attack or promise.
type row struct {
	at     int      // line of the source
	line   string   // such as X3; empty: a row that is no line of a standard
	cells  []string // what stands between line and tests
	tests  []string
	reason string // why there is none
}

// name is what a message calls the row.
func (r *row) name() string {
	if r.line != "" {
		return r.line
	}
	return fmt.Sprintf("%q", r.cells[0])
}

// parse reads the source; its head says how it is written.
func parse(source string) ([]section, error) {
	var sections []section
	at := 0
	for text := range strings.Lines(source) {
		at++
		text = strings.TrimRight(text, "\n")
		title, begins := strings.CutPrefix(text, "## ")
		if begins {
			sections = append(sections, section{title: title})
			continue
		}
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(sections) == 0 {
			return nil, fmt.Errorf("line %d: before the first section", at)
		}
		if err := sections[len(sections)-1].add(text, at); err != nil {
			return nil, err
		}
	}
	return sections, nil
}

// add takes the next line of the section: prose, then the names of the columns, then rows.
func (s *section) add(text string, at int) error {
	if prose, is := strings.CutPrefix(text, "> "); is {
		s.prose = append(s.prose, prose)
		return nil
	}
	fields := strings.Split(text, "\t")
	if s.columns == nil {
		s.columns = fields
		if !slices.Contains(fields, "tests") {
			return fmt.Errorf("line %d: the first row of a section names its columns, one of them tests", at)
		}
		return nil
	}
	if len(fields) > len(s.columns) {
		return fmt.Errorf("line %d: %d fields, but only %d columns", at, len(fields), len(s.columns))
	}
	r := &row{at: at}
	for n, column := range s.columns {
		field := ""
		if n < len(fields) {
			field = strings.TrimSpace(fields[n])
		}
		switch column {
		case "line":
			r.line = field
		case "tests":
			r.tests = strings.Fields(field)
		case "why not":
			r.reason = field
		default:
			r.cells = append(r.cells, field)
		}
	}
	s.rows = append(s.rows, r)
	return nil
}
