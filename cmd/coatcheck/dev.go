package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"text/template"
	"time"

	_ "embed"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

// devReadyWithin is how long a start may take before it counts as broken; it takes a few hundredths of a second.
const devReadyWithin = 10 * time.Second

// devText is what `coatcheck dev` prints when it is ready; its commands work when pasted in order.
//
//go:embed dev.txt
var devText string

func newDev() *cobra.Command {
	var first int
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, in memory, on loopback: to see it work",
		Long: `Run issuer, edge, an in-memory store and two demo services in one process, with
secrets made at this start, and print commands to try. Nothing is kept; nothing is
reachable from outside this machine. Ports that are taken are replaced by the next free
ones, and the output says so.`,
		Example: `  coatcheck dev
  coatcheck dev --ports-from 9000                  edge on 9000, issuer on 9001, metrics on 9002, admin API on 9003
  coatcheck dev --print-config > coatcheck.yaml    a configuration to start from`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().IntVar(&first, "ports-from", 8080, "first of four ports; 0: any free ones")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the configuration that dev runs, and exit")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if printConfig {
			_, err := cmd.OutOrStdout().Write(devYAML)
			return err
		}
		return dev(cmd.Context(), first, cmd.OutOrStdout(), cmd.ErrOrStderr())
	})
	return cmd
}

// dev does what run does, but in another order: the ports come first, because the configuration names them, and the
// banner waits until everything is ready, so that its first line can be pasted at once.
func dev(ctx context.Context, first int, stdout, stderr io.Writer) error {
	began := time.Now()
	listeners, err := openDev(ctx, first)
	if err != nil {
		return err
	}
	secret, token := rand.Text(), rand.Text()+rand.Text()
	loaded, err := loadDev(listeners, secret, token)
	if err != nil {
		return err
	}
	loaded.Gateway.ExposeDecisionForDevelopment = true
	log, sink, err := newLogger(stderr, loaded.Telemetry)
	if err != nil {
		return err
	}
	muffle(log)
	ctx, stop := untilSignalled(ctx, sink.Flush)
	defer stop()
	p, err := start(ctx, loaded, log)
	if err != nil {
		return err
	}
	services, err := devServices(p, loaded, listeners)
	if err != nil {
		return err
	}
	state := devState{
		PID: os.Getpid(), Started: began, Edge: base(listeners.edge), Issuer: base(listeners.issuer), Metrics: base(listeners.metrics),
		Client: devClient, Secret: secret, Admin: base(listeners.admin), Token: token,
	}
	if err := state.save(); err != nil {
		return fmt.Errorf("save the state that `coatcheck call` and `coatcheck token` read: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, services) }()
	hello := p.announce(ctx, stdout, began, state, listeners.moved)
	if hello != nil {
		stop()
	}
	// From here on lines may be logged at leisure; the banner has come first.
	defer sink.Start(ctx)()
	return errors.Join(hello, <-done, state.remove())
}

// devServices are the listeners of one process that is a whole deployment. The edge stops first: what it still has in
// flight needs the demo services, and those need the issuer's keys.
func devServices(p *process, l *configs.Loaded, d *devListeners) ([]service, error) {
	orders, err := newDemo("orders", l.Issuer.Issuer, "orders-api")
	if err != nil {
		return nil, err
	}
	billing, err := newDemo("billing", l.Issuer.Issuer, "billing-api")
	if err != nil {
		return nil, err
	}
	return []service{
		{name: "gateway", listener: d.edge, handler: p.edge, streams: true},
		{name: "issuer", listener: d.issuer, handler: p.issuer, last: true},
		{name: "admin", listener: d.admin, handler: p.admin, last: true, givesWay: true},
		{name: "orders", listener: d.orders, handler: orders, last: true},
		{name: "billing", listener: d.billing, handler: billing, last: true},
		{name: "metrics", listener: d.metrics, handler: p.ops(false), last: true},
	}, nil
}

// self is how the user can call this program: by its name when the shell finds it by that, else by its path.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return "coatcheck"
	}
	if found, err := exec.LookPath("coatcheck"); err == nil && found == path {
		return "coatcheck"
	}
	return path
}

// announce waits until everything is ready and prints the banner.
func (p *process) announce(ctx context.Context, w io.Writer, began time.Time, s devState, moved []string) error {
	late := time.After(devReadyWithin)
	for p.ready.err() != nil {
		select {
		case <-ctx.Done(): // somebody was quick with Ctrl-C
			return nil
		case <-late:
			return &exitError{exitUnexpected, fmt.Errorf("not ready after %v: %w", devReadyWithin, p.ready.err())}
		case <-time.After(time.Millisecond):
		}
	}
	text := template.Must(template.New("dev.txt").Parse(devText))
	var out strings.Builder
	err := text.Execute(&out, struct {
		devState
		Self  string
		Moved []string
		Took  int64
	}{s, self(), moved, time.Since(began).Milliseconds()})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, out.String())
	return err
}
