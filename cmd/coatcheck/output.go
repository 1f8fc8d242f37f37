package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// outputFlag adds -o to a command that prints data.
func outputFlag(cmd *cobra.Command) *string {
	format := cmd.Flags().StringP("output", "o", "text", "what to print: text for people, json for programs")
	// The error is for a flag that does not exist; it was added on the line above.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return format
}

// emit prints one answer: text for people, or value as JSON.
func emit(w io.Writer, format, text string, value any) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	case "text":
		_, err := io.WriteString(w, text)
		return err
	default:
		return &exitError{exitUsage, fmt.Errorf("-o %s: say text or json", format)}
	}
}
