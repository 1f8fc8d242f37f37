package main

import (
	"context"
	"fmt"
	"io"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

// demoFlags are the flags of `coatcheck demo-service`.
type demoFlags struct{ name, audience, issuer, addr string }

func newDemoService() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo-service --audience A --issuer URL",
		Short: "Run one small service that verifies its JWTs and shows them: to stand behind an edge while trying things out",
		Long: `Run one of the services that stand behind the edge in ` + "`coatcheck dev`" + `: it verifies the
JWT of each request as every internal service should, by the issuer's published keys and
for its own audience only, and answers with what the JWT says. On loopback; for trying out.`,
		Example: `  coatcheck demo-service --name orders --audience orders-api --issuer http://127.0.0.1:8081 --listen 127.0.0.1:9000`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&f.name, "name", "demo", "what it calls itself")
	cmd.Flags().StringVar(&f.audience, "audience", "", "the one audience that it accepts (required)")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "the issuer whose JWTs it accepts (required)")
	cmd.Flags().StringVar(&f.addr, "listen", "127.0.0.1:9000", "where it listens; on loopback")
	for _, name := range []string{"audience", "issuer"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that does not exist
	}
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return runDemoService(cmd.Context(), f, cmd.ErrOrStderr())
	})
	return cmd
}

func runDemoService(ctx context.Context, f demoFlags, stderr io.Writer) error {
	if !loopback(f.addr) {
		return &exitError{exitUsage, fmt.Errorf("--listen %s: a demo service shows what it gets; give it an address on loopback, such as 127.0.0.1:9000", f.addr)}
	}
	handler, err := newDemo(f.name, f.issuer, f.audience)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	log, sink, err := newLogger(stderr, configs.Telemetry{LogLevel: "info"})
	if err != nil {
		return err
	}
	defer sink.Flush()
	muffle(log)
	ctx, stop := untilSignalled(ctx, sink.Flush)
	defer stop()
	listener, err := bind(ctx, f.name, f.addr)
	if err != nil {
		return err
	}
	defer sink.Start(ctx)()
	return serve(ctx, log, func() {}, []service{{name: f.name, listener: listener, handler: handler}})
}
