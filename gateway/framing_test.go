package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/gateway"
)

// TestAmbiguousFramingEndsTheConnection: net/http drops one of two framings without a word, so what follows such a
// request may be part of it to a server before us (RFC 9112 §6.1). It is answered, and nothing after it is, whichever
// handler Server has.
func TestAmbiguousFramingEndsTheConnection(t *testing.T) {
	t.Parallel()
	plain := newPlain(t)
	h := newHouse(t)
	const next = "GET /docs/smuggled HTTP/1.1\r\nHost: e\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		answers int
	}{
		"a length":                 {"POST /docs/1 HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc", 2},
		"nothing":                  {"GET /docs/1 HTTP/1.1\r\nHost: e\r\n\r\n", 2},
		"chunks":                   {"POST /docs/1 HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1},
		"chunks and a length":      {"POST /docs/1 HTTP/1.1\r\nHost: e\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1},
		"HTTP/1.0 and chunks":      {"POST /docs/1 HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 1},
		"HTTP/1.0 and only chunks": {"POST /docs/1 HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", 1},
		"HTTP/1.0 that stays":      {"GET /docs/1 HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\n\r\n", 1},
	} {
		for where, to := range map[string]*house{"edge": h, "another handler": plain} {
			conn, r := to.dial()
			to.write(conn, c.request+next)
			said, err := answers(r)
			if err != nil || len(said) != c.answers {
				t.Errorf("%s: %s: %d answers, then %v; want %d and the end", where, name, len(said), err, c.answers)
				continue
			}
			if closes := said[0].Close; closes != (c.answers == 1) {
				t.Errorf("%s: %s: the answer says Connection: close: %v, want %v", where, name, closes, c.answers == 1)
			}
		}
	}
}

// newPlain is a house without an edge: Server around a handler that reads a form, as the issuer's does.
func newPlain(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, server: httptest.NewUnstartedServer(nil)}
	h.server.Config = gateway.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, _ = io.WriteString(w, "ok")
	}))
	h.server.Start()
	t.Cleanup(h.server.Close)
	return h
}

// answers reads what a connection says until it ends; the second of two requests is asked to be the last by nobody, so
// it stops after two.
func answers(r *bufio.Reader) (all []*http.Response, err error) {
	for len(all) < 2 {
		a, err := http.ReadResponse(r, nil)
		if err == io.EOF || err != nil && strings.Contains(err.Error(), "unexpected EOF") {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			return all, err
		}
		_ = a.Body.Close()
		all = append(all, a)
	}
	return all, nil
}
