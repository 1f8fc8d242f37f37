package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

// runFlags are the flags of `coatcheck run`.
type runFlags struct {
	file     string
	role     string
	profiles bool
	decided  bool
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run an edge, an issuer, or both",
		Long: `Run what the configuration says until SIGTERM or SIGINT, then drain: no new
connections, up to 15 s for requests in flight, exit 0. A second signal exits at once.

The process does not exit because Redis or the issuer is away: /readyz on the metrics
listener says what is missing, and until then the edge answers 503 with Retry-After.`,
		Example: `  coatcheck run -c coatcheck.yaml                   edge and issuer in one process
  coatcheck run -c coatcheck.yaml --role gateway    the public edge; holds no signing key
  coatcheck run -c coatcheck.yaml --role issuer`,
		Args: cobra.NoArgs,
	}
	configFlag(cmd, &f.file)
	roleFlag(cmd, &f.role)
	cmd.Flags().BoolVar(&f.profiles, "unsafe-expose-pprof-on-metrics", false,
		"serve /debug/pprof on the metrics listener, which must be on loopback: heap profiles hold live secrets")
	cmd.Flags().BoolVar(&f.decided, "unsafe-expose-decisions", false,
		"say in answers and in the log which route, audience and jti a request has, and when it was decided; listen.gateway must be on loopback")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return run(cmd.Context(), f, cmd.ErrOrStderr())
	})
	return cmd
}

// run loads, wires, binds, serves. The ports are bound last but one, so that a process that cannot be built never
// holds them; the log is flushed whatever happens.
func run(ctx context.Context, f runFlags, stderr io.Writer) error {
	loaded, err := load(f.file, f.role)
	if err != nil {
		return err
	}
	if err := f.expose(loaded); err != nil {
		return err
	}
	log, sink, err := newLogger(stderr, loaded.Telemetry)
	if err != nil {
		return err
	}
	defer sink.Flush()
	muffle(log)
	ctx, stop := untilSignalled(ctx, sink.Flush)
	defer stop()
	for _, w := range loaded.Warnings {
		log.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.String("warning", w.String()))
	}
	p, err := start(ctx, loaded, log)
	if err != nil {
		return err
	}
	services, err := p.open(ctx, loaded, f.profiles)
	if err != nil {
		return err
	}
	defer sink.Start(ctx)()
	return p.Run(ctx, services)
}

// expose switches on what the unsafe flags ask for, on loopback only.
func (f runFlags) expose(l *configs.Loaded) error {
	if f.profiles && !loopback(l.Listen.Metrics) {
		return &exitError{exitUsage, fmt.Errorf(
			"--unsafe-expose-pprof-on-metrics: listen.metrics is %q, not on loopback; set it to 127.0.0.1:PORT", l.Listen.Metrics)}
	}
	if !f.decided || l.Gateway == nil {
		return nil
	}
	if !loopback(l.Listen.Gateway) {
		return &exitError{exitUsage, fmt.Errorf(
			"--unsafe-expose-decisions: listen.gateway is %q, not on loopback; set it to 127.0.0.1:PORT", l.Listen.Gateway)}
	}
	l.Gateway.ExposeDecisionForDevelopment = true
	return nil
}

// start wires the process, with telemetry.
func start(ctx context.Context, loaded *configs.Loaded, log *slog.Logger) (*process, error) {
	tel, err := newTelemetry(ctx, loaded.Telemetry, log)
	if err != nil {
		return nil, err
	}
	return wire(loaded, log, tel)
}

// open binds the role's listeners. An address that is empty, or whose half does not run here, is not opened. The metrics
// listener is without TLS: it belongs on loopback or a network of the operator's own.
func (p *process) open(ctx context.Context, l *configs.Loaded, profiles bool) ([]service, error) {
	wanted := []struct {
		addr string
		service
	}{
		{l.Listen.Gateway, service{name: "gateway", handler: p.edge, tls: l.TLS, streams: true, trusted: l.Trusted}},
		{l.Listen.Issuer, service{name: "issuer", handler: p.issuer, tls: l.TLS, trusted: l.Trusted}},
		{l.Listen.Internal, service{name: "internal", handler: p.internal, tls: l.TLS, trusted: l.Trusted}},
		{l.Listen.Admin, service{name: "admin", handler: p.admin, tls: adminTLS(l), givesWay: true}},
		{l.Listen.Metrics, service{name: "metrics", handler: p.ops(profiles), last: true}},
	}
	var services []service
	for _, w := range wanted {
		if w.addr == "" || w.handler == nil {
			continue
		}
		listener, err := bind(ctx, w.name, w.addr)
		if err != nil {
			return nil, err
		}
		w.listener = listener
		services = append(services, w.service)
	}
	return services, nil
}

// adminTLS: on this machine the admin API is plain HTTP, for the certificate names the issuer and not 127.0.0.1.
func adminTLS(l *configs.Loaded) *tls.Config {
	if isSocket(l.Listen.Admin) || loopback(l.Listen.Admin) {
		return nil
	}
	return l.TLS
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// load reads the configuration for a role named on the command line. A variable that looks like one of ours and sets
// nothing is a fault too: it was meant to. As from configs.Load, beside faults there are warnings and no more.
func load(file, role string) (*configs.Loaded, error) {
	r := configs.Role(role)
	if !slices.Contains([]configs.Role{configs.RoleAll, configs.RoleGateway, configs.RoleIssuer}, r) {
		return nil, &exitError{exitUsage, fmt.Errorf("--role %s: say all, gateway or issuer", role)}
	}
	loaded, err := configs.Load(file, r, os.LookupEnv)
	var faults configs.Faults
	if err != nil && !errors.As(err, &faults) {
		return nil, &exitError{exitConfig, err}
	}
	if faults = append(faults, configs.UnknownVariables(os.Environ(), secretVariable, adminVariable, adminTokenVariable)...); len(faults) > 0 {
		return loaded, faults
	}
	return loaded, nil
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "the configuration file (required)")
	// The errors are for flags that do not exist; it was added on the line above.
	_ = cmd.MarkFlagRequired("config")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

func roleFlag(cmd *cobra.Command, role *string) {
	roles := []string{string(configs.RoleAll), string(configs.RoleGateway), string(configs.RoleIssuer)}
	cmd.Flags().StringVar(role, "role", roles[0], "which half to run: all, gateway or issuer")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp))
}
