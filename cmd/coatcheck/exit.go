package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

// Exit codes. Scripts and unit files depend on them: a number never changes its meaning. 64 to 78 are those of
// sysexits.h, so that systemd and people who know them read them right.
const (
	exitOK           = 0
	exitUnexpected   = 1  // a bug, or something nobody foresaw
	exitNo           = 2  // the command ran fine and the answer is no
	exitUsage        = 64 // the command line itself is wrong
	exitUnavailable  = 69 // a dependency or a port cannot be had
	exitNotPermitted = 77 // the operating system refused
	exitConfig       = 78 // the configuration is not valid
)

// exitError is an error that knows its exit code. A nil err means that everything has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// action makes any error of a command's work an exitError, so that report can tell it from an error of the command
// line, which cobra returns bare.
func action(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := work(cmd, args)
		var coded *exitError
		var faults configs.Faults
		switch {
		case err == nil || errors.As(err, &coded):
			return err
		case errors.As(err, &faults):
			return &exitError{exitConfig, err}
		default:
			return &exitError{exitUnexpected, err}
		}
	}
}

// report prints what went wrong, once, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	code, mend := exitUsage, "\ncoatcheck --help shows the commands; coatcheck COMMAND --help teaches one"
	var coded *exitError
	if errors.As(err, &coded) {
		code, mend = coded.code, ""
		if coded.err == nil {
			return code
		}
	}
	text := fmt.Sprintf("coatcheck: %v%s\n", err, mend)
	var faults configs.Faults
	if errors.As(err, &faults) {
		text = faults.Error() + "\n" // bare, so that editors find file:line:column where they look for it
	}
	if _, err := io.WriteString(stderr, text); err != nil {
		return exitUnexpected
	}
	return code
}
