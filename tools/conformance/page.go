package main

import (
	"bytes"
	"fmt"
	"strings"
)

const head = `<!-- Written by make generate from docs/conformance.tsv and the names of the tests: change those. -->
# What the standards ask, and the tests that hold it

Each line of a standard has a short name here, and the tests that hold it carry that name:
` + "`go test -tags nomsgpack ./... -run TestB6_`" + `. Lines that name no standard are our own rule where the standards are
silent. Of %d lines, %d are held by tests; %s.
`

// page is docs/conformance.md.
func page(sections []section) []byte {
	var lines, held int
	for _, s := range sections {
		for _, r := range s.rows {
			switch {
			case r.line == "":
				continue
			case r.reason == "":
				held++
			}
			lines++
		}
	}
	rest := fmt.Sprintf("%d say why they need none", lines-held)
	var out bytes.Buffer
	fmt.Fprintf(&out, head, lines, held, rest)
	for _, s := range sections {
		s.write(&out)
	}
	return out.Bytes()
}

func (s section) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n## %s\n", s.title)
	for _, p := range s.prose {
		fmt.Fprintln(out, p)
	}
	if s.prose != nil {
		fmt.Fprintln(out)
	}
	var columns []string
	for _, c := range s.columns {
		switch c {
		case "tests", "why not":
		default:
			columns = append(columns, c)
		}
	}
	standard := s.columns[0] == "line"
	if standard {
		columns = append(columns, "state")
	}
	columns = append(columns, "tests")
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range s.rows {
		var cells []string
		if standard {
			cells = append(cells, r.line)
		}
		cells = append(cells, r.cells...)
		if standard {
			cells = append(cells, r.state())
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(append(cells, r.proof()), " | "))
	}
}

func (r *row) state() string {
	if r.reason == "" {
		return "held"
	}
	return "no test"
}

// proof is what the last column says: the tests, or why there is none.
func (r *row) proof() string {
	if len(r.tests) == 0 {
		return r.reason
	}
	return "`" + strings.Join(r.tests, "` `") + "`"
}
