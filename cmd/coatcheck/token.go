package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/spf13/cobra"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "End grants, list them, look at one",
		Long: `Ask an issuer's admin API to end grants, and what is alive. Where it is and what lets
you in: --admin and --admin-token-file, or ` + adminVariable + ` and ` + adminTokenVariable + `. With neither,
it is the coatcheck dev that was started last on this machine.`,
		Example: `  coatcheck token revoke --jti 3f0c8d52…              one token, as a service's log names it
  coatcheck token revoke --client partner-shop         all that the client holds now
  coatcheck token list --client partner-shop
  coatcheck token inspect 3f0c8d52…`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newTokenRevoke(), newTokenList(), newTokenInspect())
	return cmd
}

// maxReferenceFile is more than any reference has; what is larger is another file.
const maxReferenceFile = 4 << 10

// referenceJTI derives the jti of the reference in a file; "-" is standard input. The reference stays in this process.
func referenceJTI(file string, stdin io.Reader) (string, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", &exitError{exitUsage, fmt.Errorf("--reference-file: %w", err)}
		}
		defer func() { _ = f.Close() }() // it was read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxReferenceFile))
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--reference-file: %w", err)}
	}
	jti, err := exchange.JTIOf(strings.TrimSpace(string(text)))
	if err != nil {
		return "", &exitError{exitUsage, errors.New("--reference-file: what is there is not a whole reference; it is one line, as the client holds it")}
	}
	return jti, nil
}
