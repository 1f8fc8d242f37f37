package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

// verdict is what `coatcheck check` found.
type verdict struct {
	OK       bool     `json:"ok"`
	Faults   []place  `json:"faults"`
	Warnings []place  `json:"warnings"`
	Summary  *summary `json:"summary,omitempty"`
}

// place is one fault or warning, for programs.
type place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	What   string `json:"what"`
}

// summary says what a valid configuration holds.
type summary struct {
	Role      configs.Role `json:"role"`
	Store     string       `json:"store"`
	Routes    int          `json:"routes"`
	Upstreams int          `json:"upstreams"`
	Audiences int          `json:"audiences"`
	Clients   int          `json:"clients"`
}

func newCheck() *cobra.Command {
	var file, role string
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Say everything that is wrong with a configuration",
		Long: `Read a configuration exactly as run would, open no port and no connection, and
print every fault with file, line, column and mend, and every warning. Exit 0 when there
is no fault, else 78.`,
		Example: `  coatcheck check -c coatcheck.yaml
  coatcheck check -c coatcheck.yaml --role gateway   with the secret files that an edge has
  coatcheck check -c coatcheck.yaml -o json          for editors and pipelines`,
		Args: cobra.NoArgs,
	}
	configFlag(cmd, &file)
	roleFlag(cmd, &role)
	format := outputFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(file, role)
		var faults configs.Faults
		if err != nil && !errors.As(err, &faults) {
			return err
		}
		v := judge(loaded, faults)
		if err := emit(cmd.OutOrStdout(), *format, v.text(file), v); err != nil {
			return err
		}
		if !v.OK && *format == "text" {
			return faults // report prints them: they are what went wrong
		}
		if !v.OK {
			return &exitError{code: exitConfig}
		}
		return nil
	})
	return cmd
}

// judge puts the answer of Load into the form that is printed. Beside faults l has warnings and no more.
func judge(l *configs.Loaded, faults configs.Faults) verdict {
	v := verdict{OK: len(faults) == 0, Faults: places(faults), Warnings: places(l.Warnings)}
	if !v.OK {
		return v
	}
	v.Summary = &summary{Role: l.Role, Store: "memory"}
	if !l.Store.Memory {
		v.Summary.Store = "redis " + l.Store.Redis.Addr
	}
	if l.Gateway != nil {
		v.Summary.Routes, v.Summary.Upstreams = l.Gateway.Table.Len(), len(l.Gateway.Upstreams)
	}
	if l.Issuer != nil {
		v.Summary.Audiences, v.Summary.Clients = len(l.Issuer.Audiences), len(l.Issuer.Clients)
	}
	return v
}

func (v verdict) text(file string) string {
	var b strings.Builder
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "%s:%d:%d: warning: %s\n", w.File, w.Line, w.Column, w.What)
	}
	if s := v.Summary; s != nil {
		fmt.Fprintf(&b, "%s: ok for role %s: %d routes, %d upstreams, %d audiences, %d clients; store: %s\n",
			file, s.Role, s.Routes, s.Upstreams, s.Audiences, s.Clients, s.Store)
	}
	return b.String()
}

func places(faults []configs.Fault) []place {
	out := make([]place, 0, len(faults))
	for _, f := range faults {
		out = append(out, place(f))
	}
	return out
}
