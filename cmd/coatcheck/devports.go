package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
)

// devTries is how many ports above the wanted ones are tried.
const devTries = 100

// devListeners are the open listeners of `coatcheck dev`, all on loopback.
type devListeners struct {
	edge, issuer, metrics, admin, orders, billing net.Listener
	moved                                         []string // what did not get the port that people expect
}

// openDev takes the ports first to first+3, and the next free ones above for those that are taken.
// With first 0 the system chooses. The demo services take any port: nobody types it.
func openDev(ctx context.Context, first int) (*devListeners, error) {
	d := &devListeners{}
	next := first + 4
	for i, l := range []struct {
		name string
		to   *net.Listener
	}{{"edge", &d.edge}, {"issuer", &d.issuer}, {"metrics", &d.metrics}, {"admin API", &d.admin}} {
		wanted := first + i
		if first == 0 {
			wanted = 0
		}
		got, err := listenPort(ctx, wanted)
		for tries := 0; errors.Is(err, syscall.EADDRINUSE) && tries < devTries; tries++ {
			got, err = listenPort(ctx, next)
			next++
		}
		if err != nil {
			return nil, errors.Join(&exitError{exitUnavailable, fmt.Errorf(
				"no port for the %s: %w; choose another range with --ports-from N", l.name, err)}, d.close())
		}
		*l.to = got
		if at := port(got); wanted != 0 && at != wanted {
			d.moved = append(d.moved, fmt.Sprintf("port %d is taken: the %s is on %d", wanted, l.name, at))
		}
	}
	for _, to := range []*net.Listener{&d.orders, &d.billing} {
		got, err := listenPort(ctx, 0)
		if err != nil {
			return nil, errors.Join(&exitError{exitUnavailable, fmt.Errorf("no port for a demo service: %w", err)}, d.close())
		}
		*to = got
	}
	return d, nil
}

func (d *devListeners) close() error {
	var errs []error
	for l := range slices.Values([]net.Listener{d.edge, d.issuer, d.metrics, d.admin, d.orders, d.billing}) {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

func listenPort(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func base(l net.Listener) string { return "http://" + l.Addr().String() }
