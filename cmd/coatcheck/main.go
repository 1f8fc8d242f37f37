// Coatcheck is the door of the house: the one program that names every room. It reads a configuration, wires the
// rooms together, opens the listeners, and drains them when it is told to stop. It decides nothing about a
// request: references, routes and answers belong to the rooms.
//
//	coatcheck dev                       everything in one process, in memory, loopback only
//	coatcheck run -c FILE --role ROLE   an edge, an issuer, or both
//	coatcheck check -c FILE             every fault of a configuration, with its place and mend
//	coatcheck call METHOD PATH          one call as a client, and what became of it
//	coatcheck token revoke|list|inspect what an operator ends and sees, through the admin API
//	coatcheck audit verify FILE...      whether the audit log is as it was written
//	coatcheck version
//
// What the program tells people goes to standard output, what it logs and what went wrong to standard error.
// Exit codes are a contract (exit.go). The OpenTelemetry SDK is used here and nowhere else: rooms see its API.
package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := refuseCredentials(args); err != nil {
		return report(stderr, err)
	}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.ExecuteContext(ctx))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "coatcheck",
		Short: "An API gateway: opaque references outside, a signed JWT for one audience inside",
		Long: `Coatcheck keeps your tokens inside. A third party holds an opaque reference; the
edge swaps it for a JWT made for the one service that the request is for.`,
		Example: `  coatcheck dev                                  see it work, on this machine, now
  coatcheck check -c coatcheck.yaml              is this configuration right?
  coatcheck run -c coatcheck.yaml --role gateway
  coatcheck call GET /orders/17 --show-swap      what the client sent, the edge decided, the service got
  coatcheck token revoke --client partner-shop   end what a client holds; when it says so, it is over everywhere`,
		Version:       readBuild().text(),
		SilenceErrors: true, // report prints them, once
		SilenceUsage:  true, // a wall of usage hides the one line that matters
	}
	root.SetVersionTemplate("{{.Version}}") // as `coatcheck version` prints it
	root.AddCommand(newDev(), newRun(), newCheck(), newCall(), newToken(), newClient(), newAudit(), newDemoService(), newVersion())
	return root
}
