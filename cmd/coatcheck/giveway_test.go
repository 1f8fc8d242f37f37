package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/admin"
)

// adminDoor is an admin listener with one token, served as it is in production.
func adminDoor(t *testing.T, addr, secret string) (dial func() net.Conn) {
	t.Helper()
	sum, err := admin.HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := admin.New(admin.Config{
		Tokens: []admin.Token{{Name: "operator", SHA256: sum, Scopes: []admin.Scope{admin.ReadTokens}}},
		Routes: []admin.Route{{Method: "GET", Path: "/here", Scope: admin.ReadTokens, Handle: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}},
		Known:  settle,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := bind(t.Context(), "admin", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := service{name: "admin", listener: listener, handler: handler, givesWay: true}
	srv := s.server(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = accept(srv, s) }()
	return func() net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), listener.Addr().Network(), listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a connection of the system's has deadlines
		return conn
	}
}

// ask sends a request on a connection and returns the status.
func ask(conn net.Conn, secret string) (status int, err error) {
	if _, err := io.WriteString(conn, "GET /here HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer "+secret+"\r\n\r\n"); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// TestNobodyKeepsTheOperatorOut: not with more connections than one peer may have elsewhere, and not with more than are
// kept. The oldest one gives way, but not the operator's, which is older still.
func TestNobodyKeepsTheOperatorOut(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("a1", 32)
	for name, addr := range map[string]string{"TCP": "127.0.0.1:0", "a socket": t.TempDir() + "/a.sock"} {
		dial := adminDoor(t, addr, secret)
		kept := dial()
		if status, err := ask(kept, secret); status != http.StatusOK {
			t.Fatalf("%s: an idle listener says %d, %v, want 200", name, status, err)
		}
		oldest := dial()
		for range maxPerPeer {
			dial()
		}
		if status, err := ask(dial(), secret); status != http.StatusOK {
			t.Errorf("%s: among %d idle connections a known token gets %d, %v, want 200", name, maxPerPeer, status, err)
		}
		for range maxStrangers - maxPerPeer {
			dial()
		}
		if n, err := oldest.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the oldest of %d idle connections reads %d bytes, %v, want it closed", name, maxStrangers+1, n, err)
		}
		if status, err := ask(dial(), secret); status != http.StatusOK {
			t.Errorf("%s: among %d idle connections a known token gets %d, %v, want 200", name, maxStrangers, status, err)
		}
	}
}

// TestRefusedConnectionsEnd: who is refused holds nothing; a known token's connection stays, for its next request.
func TestRefusedConnectionsEnd(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("a1", 32)
	dial := adminDoor(t, "127.0.0.1:0", secret)
	conn := dial()
	for n := range 2 {
		if status, err := ask(conn, secret); status != http.StatusOK {
			t.Errorf("request %d of a known token: %d, %v, want 200", n, status, err)
		}
	}
	if status, err := ask(conn, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d, %v, want 401", status, err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after a 401: %d bytes, %v, want the end", n, err)
	}
}
