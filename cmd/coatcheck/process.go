package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// closeWithin is how long the last spans may take to leave.
const closeWithin = 5 * time.Second

// Run serves until ctx ends, then drains. Background work goes on while requests finish, and ends after them; the follower
// ends last, since whatever else still runs may ask it whether a grant lives.
func (p *process) Run(ctx context.Context, services []service) error {
	serving, cut := context.WithCancel(ctx)
	defer cut()
	endFollowing := p.begin(ctx, cut, p.follower.Run)
	endWork := p.begin(ctx, cut, p.work...)
	served := serve(serving, p.log, func() { p.ready.draining.Store(true) }, services)
	err := errors.Join(served, endWork(), endFollowing())
	p.close()
	p.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	return err
}

// begin starts background work, which does not end with ctx, and returns what ends it. Work that fails for good takes the
// process down in order.
func (p *process) begin(ctx context.Context, down func(), work ...func(context.Context) error) (end func() error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	for _, w := range work {
		group.Go(func() error {
			err := w(ctx)
			if err != nil {
				down()
			}
			return err
		})
	}
	return func() error { stop(); return group.Wait() }
}

// close lets go of what is left. A collector or a store that is away at the end is not this process's failure.
func (p *process) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	errs := []error{p.tel.Close(ctx), p.store.Close()}
	if p.journal != nil {
		errs = append(errs, p.journal.Close())
	}
	if err := errors.Join(errs...); err != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "close", slog.String("error", err.Error()))
	}
}

// ops is the handler of the metrics listener: everything about the process, nothing about requests.
func (p *process) ops(profiles bool) http.Handler {
	mux := http.NewServeMux() // never the default one: importing pprof has put its handlers there
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // alive is all that it says
	})
	mux.Handle("GET /readyz", &p.ready)
	if p.tel.metrics != nil {
		mux.Handle("GET /metrics", p.tel.metrics)
	}
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// untilSignalled ends the context at the first SIGINT or SIGTERM; the second one flushes the log and exits at once.
func untilSignalled(parent context.Context, flush func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2) // room for both: Notify does not wait
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		cancel()
		<-signals
		flush()
		os.Exit(exitUnexpected)
	}()
	return ctx, cancel
}
