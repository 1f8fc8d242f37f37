package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestStandardLoggerQuotesNobody: net/http quotes what a hostile upstream says unasked, here the JWT that it just got,
// through the standard library's own logger. The process says that something was said, and not what.
func TestStandardLoggerQuotesNobody(t *testing.T) {
	t.Parallel()
	lab := processtest.New(t, processtest.Options{})
	lab.Orders.Answer = func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+r.Header.Get("Authorization"))
	}
	client := processtest.NewClient(t)
	_, edge := lab.Up(client)
	if a := client.Call("GET", lab.Edge()+"/orders/17", lab.Token(client)); a.Body != "ok" {
		t.Fatalf("the call gave %d %q, want ok", a.Status, a.Body)
	}
	processtest.Eventually(t, "a word about it", func() bool { return strings.Contains(edge.Stderr.String(), "the standard library said") })
	jwt := lab.Orders.Last(t).JWT()
	if log := edge.Stderr.String(); strings.Contains(log, jwt[:40]) || strings.Contains(log, "Unsolicited") {
		t.Errorf("standard error quotes the upstream:\n%s", log)
	}
}
