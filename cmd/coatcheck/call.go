package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

// callFlags are the flags of `coatcheck call`.
type callFlags struct {
	file       string
	client     string
	secretFile string
	issuer     string
	edge       string
	caFile     string
	audiences  []string
	scopes     []string
	data       string
	showSwap   bool
	reveal     bool
	format     *string
}

func newCall() *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call METHOD PATH",
		Short: "Make one call as a client, and see what became of it",
		Long: `Get a reference for a client, send one request through the edge, and print the
answer. With --show-swap: what the client sent, what the edge decided, and what the
service got. Exit 0 when the answer is below 400, 2 when it is a refusal or an error.

Without -c it speaks to the coatcheck dev that was started last. With -c FILE it speaks to the edge
and issuer of that file, of whose secrets it opens none; the client's own comes from
--secret-file, or from COATCHECK_CLIENT_SECRET.`,
		Example: `  coatcheck call GET /orders/17
  coatcheck call GET /orders/17 --show-swap
  coatcheck call GET /invoices/1 --audience orders-api      refused: the wrong audience
  coatcheck call GET /orders/17 -c coatcheck.yaml --client partner-shop --secret-file shop.secret`,
		Args: cobra.ExactArgs(2),
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "", "call the edge of this configuration instead of coatcheck dev")
	flags.StringVar(&f.client, "client", "", "the client to be (with coatcheck dev: its demo client)")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with the client's secret")
	flags.StringVar(&f.issuer, "issuer", "", "issuer URL, when it is not the configuration's")
	flags.StringVar(&f.edge, "edge", "", "edge URL, when it is not on this machine, or to choose among several coatcheck dev")
	flags.StringVar(&f.caFile, "ca-file", "", "PEM file of the authorities that may have signed the certificates of issuer and edge (default: the system's)")
	flags.StringArrayVar(&f.audiences, "audience", nil, "audience to ask for; may repeat (default: the client's)")
	flags.StringArrayVar(&f.scopes, "scope", nil, "scope to ask for; may repeat (default: the client's)")
	flags.StringVarP(&f.data, "data", "d", "", "request body")
	flags.BoolVar(&f.showSwap, "show-swap", false, "show both sides of the swap on one screen")
	flags.BoolVar(&f.reveal, "reveal", false, "with --show-swap: print the reference in full")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // the error is for a flag that does not exist
	f.format = outputFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		return call(cmd.Context(), f, strings.ToUpper(args[0]), args[1], cmd.OutOrStdout())
	})
	return cmd
}

// call gets a new reference each time: nothing of a client is kept on disk.
func call(ctx context.Context, f callFlags, method, path string, stdout io.Writer) error {
	if !strings.HasPrefix(path, "/") {
		return &exitError{exitUsage, fmt.Errorf("PATH %q: start it with /; the edge comes from the configuration", path)}
	}
	c, err := newCaller(f)
	if err != nil {
		return err
	}
	reference, err := c.reference(ctx, f.audiences, f.scopes)
	if err != nil {
		return err
	}
	seen, err := c.call(ctx, method, path, f.data, reference)
	if err != nil {
		return err
	}
	text := seen.plain()
	if f.showSwap {
		text = seen.screen()
	}
	if f.reveal {
		seen.Sent.Authorization = "Bearer " + reference
		text = strings.ReplaceAll(text, masked(reference), reference)
	}
	if err := emit(stdout, *f.format, text, seen); err != nil {
		return err
	}
	if seen.Decided.Status >= http.StatusBadRequest {
		return &exitError{code: exitNo}
	}
	return nil
}

// unreachable is a server that could not be asked.
func unreachable(what, url string, err error) error {
	return &exitError{exitUnavailable, fmt.Errorf("ask the %s at %s: %w; is it running? (coatcheck dev, or coatcheck run)", what, url, errors.Unwrap(err))}
}
