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

// Run serves until ctx ends, then drains. Background work goes on while requests finish, and ends after them.
func (p *process) Run(ctx context.Context, services []service) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	serving, cut := context.WithCancel(ctx)
	defer cut()
	var work errgroup.Group
	for _, w := range p.work {
		work.Go(func() error {
			err := w(background)
			if err != nil {
				cut() // work that failed for good takes the process down in order
			}
			return err
		})
	}
	served := serve(serving, p.log, func() { p.ready.draining.Store(true) }, services)
	stop()
	err := errors.Join(served, work.Wait())
	p.close()
	p.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	return err
}

// close lets go of what is left. A collector or a store that is away at the end is not this process's failure.
func (p *process) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := errors.Join(p.tel.Close(ctx), p.store.Close()); err != nil {
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
