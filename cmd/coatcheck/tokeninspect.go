package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newTokenInspect() *cobra.Command {
	var api adminFlags
	var referenceFile string
	cmd := &cobra.Command{
		Use:   "inspect JTI",
		Short: "Show what is known of one grant",
		Long: `Show one grant: whose it is, since when and until when, and the handles by which it can be
ended with others. Exit 0 when it is alive, 2 when it is revoked or not there.`,
		Example: `  coatcheck token inspect 3f0c8d52b1e94a67a0c5d1e2f3a4b5c6
  coatcheck token inspect --reference-file leaked.txt          the jti is derived here; the reference is not sent`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&referenceFile, "reference-file", "", "a file with its reference instead of the jti; - is standard input")
	api.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if (len(args) == 1) == (referenceFile != "") {
			return &exitError{exitUsage, errors.New("name the grant in one way: its JTI, or --reference-file")}
		}
		jti := strings.Join(args, "")
		if referenceFile != "" {
			var err error
			if jti, err = referenceJTI(referenceFile, cmd.InOrStdin()); err != nil {
				return err
			}
		}
		return inspectGrant(cmd.Context(), api, jti, cmd.OutOrStdout())
	})
	return cmd
}

func inspectGrant(ctx context.Context, api adminFlags, jti string, stdout io.Writer) error {
	op, err := newOperator(api)
	if err != nil {
		return err
	}
	var g grant
	if err := op.ask(ctx, "GET", "/v1/tokens/"+url.PathEscape(jti), nil, nil, &g); err != nil {
		return err
	}
	if err := emit(stdout, *api.format, g.text(), g); err != nil {
		return err
	}
	if g.State != "live" {
		return &exitError{code: exitNo}
	}
	return nil
}

func (g grant) text() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-15s %s\n", name, value)
		}
	}
	line("jti", g.JTI)
	line("state", g.State)
	line("client", g.Client)
	line("client handle", g.ClientHandle)
	line("subject handle", g.Subject)
	line("family", g.Family)
	line("signing key", g.KeyID)
	if g.IssuedAt != nil {
		line("issued", g.IssuedAt.UTC().Format(time.RFC3339))
	}
	if g.ExpiresAt != nil {
		line("expires", fmt.Sprintf("%s, in %v", g.ExpiresAt.UTC().Format(time.RFC3339), time.Until(*g.ExpiresAt).Round(time.Second)))
	}
	return b.String()
}
