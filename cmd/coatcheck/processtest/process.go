package processtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one running program.
type Process struct {
	Stdout, Stderr *Output

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start runs the built program with args; environ is added to a nearly empty environment.
func Start(t testing.TB, environ []string, args ...string) *Process {
	t.Helper()
	return start(t, environ, Binary(t), args...)
}

func start(t testing.TB, environ []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Stdout: &Output{}, Stderr: &Output{}, t: t, done: make(chan struct{})}
	// Not the test's context: the process is ended by Cleanup, after the test's own cleanups that still need it.
	p.cmd = exec.CommandContext(context.Background(), name, args...)
	p.cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, environ)
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s %v: %v", name, args, err)
	}
	go func() {
		_ = p.cmd.Wait() // the code is in ProcessState
		close(p.done)
	}()
	t.Cleanup(p.cleanup)
	return p
}

// cleanup kills rather than asks: a test that wants an orderly end has made one.
func (p *Process) cleanup() {
	p.Kill()
	if strings.Contains(p.Stderr.String(), "WARNING: DATA RACE") {
		p.t.Errorf("the process %v has a data race:\n%s", p.cmd.Args, p.Stderr)
	}
	if p.t.Failed() {
		p.t.Logf("%v\nstdout: %s\nstderr: %s", p.cmd.Args, tail(p.Stdout), tail(p.Stderr))
	}
}

// Kill ends the process as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Signal sends a signal; to a process that has ended it does nothing.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("send %v to %v: %v", s, p.cmd.Args, err)
	}
}

// Pause stops the process without its knowing; Resume lets it go on.
func (p *Process) Pause()  { p.t.Helper(); p.Signal(syscall.SIGSTOP) }
func (p *Process) Resume() { p.t.Helper(); p.Signal(syscall.SIGCONT) }

// Terminate asks the process to end, and returns its exit code.
func (p *Process) Terminate() int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait()
}

// Wait returns the exit code; -1 after a signal.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		p.t.Fatalf("%v has not ended after %v", p.cmd.Args, Patience)
		return 0
	}
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Address waits for the process to log where a listener of it listens.
func (p *Process) Address(listener string) string {
	p.t.Helper()
	var addr string
	Eventually(p.t, "the process says where its listener "+listener+" is", func() bool {
		for line := range strings.Lines(p.Stderr.String()) {
			var said struct{ Msg, Listener, Addr string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" && said.Listener == listener {
				addr = said.Addr
			}
		}
		if addr == "" && p.Ended() {
			p.t.Fatalf("%v has ended with %d:\n%s", p.cmd.Args, p.Wait(), p.Stderr)
		}
		return addr != ""
	})
	return addr
}

// Output collects what a process writes. It is safe for concurrent use.
type Output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the last part of an output, for a failing test's log.
func tail(o *Output) string {
	const most = 8 << 10
	s := o.String()
	return s[max(0, len(s)-most):]
}
