package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// bind opens one listener.
func bind(ctx context.Context, name, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, explainBind(name, addr, err)
	}
	return l, nil
}

// explainBind says the mend. A port in use is exit 69, one that the system keeps for others exit 77.
func explainBind(name, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &exitError{exitUnavailable, fmt.Errorf(
			"listen.%s: %s is in use by another process; stop that one (ss -ltnp names it) or set listen.%s to a free port", name, addr, name)}
	case errors.Is(err, os.ErrPermission):
		return &exitError{exitNotPermitted, fmt.Errorf(
			"listen.%s: the system does not permit %s; set listen.%s to a port above 1023, or give the binary CAP_NET_BIND_SERVICE", name, addr, name)}
	default:
		return &exitError{exitUnavailable, fmt.Errorf("listen.%s: %s: %w; set listen.%s to an address of this machine", name, addr, errors.Unwrap(err), name)}
	}
}
