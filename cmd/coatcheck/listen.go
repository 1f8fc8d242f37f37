package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// bind opens one listener: of an address, or of a unix socket.
func bind(ctx context.Context, name, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	if isSocket(addr) {
		return bindSocket(ctx, name, addr)
	}
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, explainBind(name, addr, err)
	}
	return l, nil
}

// isSocket: the address is the path of a unix socket.
func isSocket(addr string) bool { return strings.Contains(addr, "/") }

// bindSocket takes the place of a socket that a killed process has left, but not of one that somebody answers on, and of
// nothing else than a socket. Only the owner may connect from the first moment on; the tokens are asked for all the same.
func bindSocket(ctx context.Context, name, path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&os.ModeSocket != 0 {
		var d net.Dialer
		if conn, err := d.DialContext(ctx, "unix", path); errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(path) // if that fails, so does what comes next, and says why
		} else if err == nil {
			_ = conn.Close() // somebody answers: the address is in use
		}
	}
	lc := net.ListenConfig{Control: ownerAlone}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, explainBind(name, path, err)
	}
	return l, nil
}

// ownerAlone gives a socket that is about to be bound the mode that its file will have.
func ownerAlone(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
	return errors.Join(err, failed)
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
