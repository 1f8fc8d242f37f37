package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// slowLab has an orders service that answers nothing before release is called.
func slowLab(t *testing.T, client *processtest.Client) (lab *processtest.Lab, edge *processtest.Process, release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	lab = processtest.New(t, processtest.Options{})
	lab.Orders.Answer = func(w http.ResponseWriter, _ *http.Request) {
		<-gate
		_, _ = io.WriteString(w, "at last")
	}
	t.Cleanup(release) // before the service's own, which waits for its requests
	_, edge = lab.Up(client)
	return lab, edge, release
}

// inFlight starts one call and waits until it has reached the service.
func inFlight(t *testing.T, lab *processtest.Lab, client *processtest.Client) <-chan processtest.Answer {
	t.Helper()
	reference := lab.Token(client)
	header := http.Header{"Authorization": {"Bearer " + reference}}
	answers := make(chan processtest.Answer, 1)
	go func() {
		a, err := client.Try("GET", lab.Edge()+"/orders/17", header, "")
		if err != nil {
			a.Body = err.Error()
		}
		answers <- a
	}()
	processtest.Eventually(t, "the request reaches the service", func() bool { return len(lab.Orders.Requests()) == 1 })
	return answers
}

// TestTermDrains: readiness goes first, new connections are refused, what is in flight gets its answer, exit 0.
func TestTermDrains(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab, edge, release := slowLab(t, client)
	metrics := edge.Address("metrics")
	answers := inFlight(t, lab, client)

	edge.Signal(syscall.SIGTERM)
	processtest.Eventually(t, "/readyz says that the edge is draining", func() bool {
		a := client.Do("GET", "http://"+metrics+"/readyz", nil, "")
		return a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "draining")
	})
	processtest.Eventually(t, "new connections are refused", func() bool {
		_, err := processtest.NewClient(t).Try("GET", lab.Edge()+"/docs/", nil, "")
		return err != nil
	})
	if edge.Ended() {
		t.Fatal("the edge has ended with a request in flight")
	}
	release()
	if a := <-answers; a.Status != http.StatusOK || a.Body != "at last" {
		t.Errorf("the request in flight got %d %q, want its whole answer", a.Status, a.Body)
	}
	if code := edge.Wait(); code != exitOK {
		t.Errorf("the edge ended with %d, want 0", code)
	}
	if log := edge.Stderr.String(); !strings.Contains(log, `"grace_ms":15000`) || !strings.HasSuffix(log, "\"msg\":\"stopped\"}\n") {
		t.Errorf("the log does not say how long the grace is, or does not end with that the process has stopped:\n%s", log)
	}
	if n := strings.Count(edge.Stderr.String(), `"route":"orders-read"`); n != 1 {
		t.Errorf("%d access-log lines for the request in flight, want 1: the log is flushed at exit", n)
	}
}

// TestSecondSignalExitsAtOnce: an operator who has decided is not made to wait.
func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab, edge, release := slowLab(t, client)
	answers := inFlight(t, lab, client)
	edge.Signal(syscall.SIGTERM)
	processtest.Eventually(t, "the edge drains", func() bool { return strings.Contains(edge.Stderr.String(), `"draining"`) })
	edge.Signal(syscall.SIGINT)
	if code := edge.Wait(); code != exitUnexpected {
		t.Errorf("the edge ended with %d after two signals, want 1: it has cut a request", code)
	}
	release()
	<-answers
}
