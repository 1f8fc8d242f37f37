package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck/coatcheck/gateway"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// drainGrace is how long requests in flight may take to finish after the process was told to stop.
const drainGrace = 15 * time.Second

// Limits of a listener, beside those of gateway.Server.
const (
	maxConnections = 16_384           // at a time; more wait in the system's queue until one closes
	readWithin     = 10 * time.Second // a whole request, body included; not on the edge, which bounds each read itself
	writeWithin    = 60 * time.Second // an answer; not on the edge, which bounds each write itself
)

// service is one open listener and what answers on it.
type service struct {
	name     string
	listener net.Listener
	handler  http.Handler
	tls      *tls.Config    // nil: plain HTTP
	trusted  []netip.Prefix // peers that may hold any number of connections
	streams  bool           // bounds bodies and answers itself, because they may be streams
	givesWay bool           // refuses nobody: whoever came first without a token gives way
	last     bool           // stops after all others, so that /readyz still says why while they drain
}

func (s service) server(log *slog.Logger) *http.Server {
	srv := gateway.Server(s.handler)
	srv.TLSConfig = s.tls
	srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug) // handshakes and resets: the peer's doing
	if !s.streams {
		srv.ReadTimeout, srv.WriteTimeout = readWithin, writeWithin
	}
	if s.givesWay {
		giveWay(srv)
	}
	return srv
}

// serve answers on all services until ctx ends, then drains them: no new connections, requests in flight finish
// within drainGrace, what is left is cut and said.
func serve(ctx context.Context, log *slog.Logger, draining func(), services []service) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var first, last []*http.Server
	var group errgroup.Group
	for _, s := range services {
		srv := s.server(log)
		if s.last {
			last = append(last, srv)
		} else {
			first = append(first, srv)
		}
		log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("listener", s.name), slog.String("addr", s.listener.Addr().String()))
		group.Go(func() error {
			defer stop() // a listener that broke takes the process down in order, like a signal
			return accept(srv, s)
		})
	}
	<-ctx.Done()
	draining()
	log.LogAttrs(ctx, slog.LevelInfo, "draining", slog.Int64("grace_ms", drainGrace.Milliseconds()))
	drain(log, first)
	drain(log, last)
	return group.Wait()
}

func accept(srv *http.Server, s service) error {
	listener := s.bounded()
	var err error
	if s.tls != nil {
		err = srv.ServeTLS(listener, "", "")
	} else {
		err = srv.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) { // drain has closed it
		return nil
	}
	return fmt.Errorf("serve %s: %w", s.name, err)
}

// bounded is the listener within its limits. What gives way is outside of the cap, so that closing makes room in it.
func (s service) bounded() net.Listener {
	if s.givesWay {
		return &givingWay{Listener: capped(s.listener)}
	}
	return capped(perPeer(s.listener, s.trusted))
}

// capped keeps the connections of one listener from taking all that the process has.
func capped(l net.Listener) net.Listener { return netutil.LimitListener(l, maxConnections) }

// drain closes servers together. The context is its own: the process's has ended, that is why we are here.
func drain(log *slog.Logger, servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainGrace)
	defer cancel()
	var group errgroup.Group
	for _, srv := range servers {
		group.Go(func() error {
			err := srv.Shutdown(ctx)
			if err == nil {
				return nil
			}
			log.LogAttrs(ctx, slog.LevelWarn, "requests were cut: they outlived the grace", slog.Int64("grace_ms", drainGrace.Milliseconds()))
			return srv.Close()
		})
	}
	if err := group.Wait(); err != nil {
		log.LogAttrs(ctx, slog.LevelWarn, "close listeners", slog.String("error", err.Error()))
	}
}
