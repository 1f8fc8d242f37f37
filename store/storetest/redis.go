package storetest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 20 * time.Second // for a server to answer PING; generous, because test machines are busy
	pollEvery    = 5 * time.Millisecond
	portAttempts = 10
)

// Redis is a real redis-server that belongs to one test. It is killed when the test ends.
type Redis struct {
	Addr string // 127.0.0.1:port; stays the same over Restart

	t      testing.TB
	dir    string
	flags  []string
	server *exec.Cmd
	exited chan struct{} // closed when server has ended
}

// StartRedis starts a redis-server on a free port of loopback, in a directory of its own, and waits until it answers.
// Flags are redis-server's, such as "--maxmemory", "3mb". It keeps nothing over a Restart.
func StartRedis(t testing.TB, flags ...string) *Redis {
	t.Helper()
	return start(t, append([]string{"--save", "", "--appendonly", "no"}, flags...))
}

// StartDurableRedis is StartRedis with every write on disk before it is answered: a Restart has all data.
func StartDurableRedis(t testing.TB, flags ...string) *Redis {
	t.Helper()
	return start(t, append([]string{"--save", "", "--appendonly", "yes", "--appendfsync", "always"}, flags...))
}

func start(t testing.TB, flags []string) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is not installed: run `make test`, or `apt-get install redis-server`")
	}
	r := &Redis{t: t, dir: t.TempDir(), flags: flags}
	t.Cleanup(r.Kill)
	// Between choosing a port and the server's taking it, another process may: then choose again.
	var err error
	for range portAttempts {
		r.Addr = freeAddr(t)
		if err = r.launch(); err == nil {
			return r
		}
		r.Kill()
	}
	t.Fatalf("start redis-server: %v\n%s", err, r.log())
	return nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// launch starts the process and polls until it answers.
func (r *Redis) launch() error {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return err
	}
	flags := []string{"--bind", host, "--port", port, "--dir", r.dir, "--logfile", "redis.log", "--daemonize", "no"}
	// Not under the test's context: it ends before clean-ups run, and this process has its own.
	r.server = exec.Command("redis-server", append(flags, r.flags...)...) //nolint:noctx // killed by Cleanup
	if err := r.server.Start(); err != nil {
		return err
	}
	r.exited = make(chan struct{})
	go func(server *exec.Cmd, exited chan struct{}) {
		_ = server.Wait() // how it ended is of no interest: tests kill it
		close(exited)
	}(r.server, r.exited)
	return r.waitReady()
}

// waitReady asks for the server's own pid, because on the port may be another's server.
func (r *Redis) waitReady() error {
	deadline := time.After(startTimeout)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		info, err := do(r.Addr, "INFO")
		if text, ok := info.(string); ok && strings.Contains(text, fmt.Sprintf("process_id:%d\r\n", r.server.Process.Pid)) &&
			strings.Contains(text, "\nloading:0") {
			return nil
		}
		select {
		case <-r.exited:
			return fmt.Errorf("redis-server has exited: %s", r.server.ProcessState)
		case <-deadline:
			return fmt.Errorf("no answer within %v: %v", startTimeout, err)
		case <-poll.C:
		}
	}
}

func (r *Redis) log() string {
	text, err := os.ReadFile(filepath.Join(r.dir, "redis.log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text))
}

// Dir is where the server keeps its data. What is copied from there while it runs is a snapshot that it can start from.
func (r *Redis) Dir() string { return r.dir }

// Kill ends the server at once (SIGKILL), also one that is paused, and waits until it is gone.
func (r *Redis) Kill() { r.end(syscall.SIGKILL) }

// Stop ends the server as an operator would (SIGTERM), and waits until it is gone.
func (r *Redis) Stop() { r.end(syscall.SIGTERM) }

func (r *Redis) end(how syscall.Signal) {
	if r.exited == nil {
		return
	}
	_ = r.server.Process.Signal(how) // fails only when it has ended already
	<-r.exited
}

// Restart starts a server again at the same address and in the same directory, after Kill or Stop.
func (r *Redis) Restart() {
	r.t.Helper()
	if err := r.launch(); err != nil {
		r.t.Fatalf("restart redis-server: %v\n%s", err, r.log())
	}
}

// Pause stops the server without closing its connections (SIGSTOP): it accepts, and never answers.
func (r *Redis) Pause() { r.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.server.Process.Signal(s); err != nil {
		r.t.Fatalf("signal redis-server: %v", err)
	}
}

// Do sends one command as the default user, and returns its reply: a string, an int64, a []any or nil.
// An error reply fails the test.
func (r *Redis) Do(args ...string) any {
	r.t.Helper()
	reply, err := do(r.Addr, args...)
	if err != nil {
		r.t.Fatalf("redis %s: %v", args[0], err)
	}
	return reply
}

// Keys lists the keys of database 0, sorted.
func (r *Redis) Keys() []string {
	r.t.Helper()
	var keys []string
	for _, k := range r.Do("KEYS", "*").([]any) {
		keys = append(keys, k.(string))
	}
	slices.Sort(keys)
	return keys
}

// Commands counts the commands that the server has run since the last ResetCommands, by lower-case name, those inside
// scripts included.
func (r *Redis) Commands() map[string]int {
	r.t.Helper()
	counts := map[string]int{}
	for line := range strings.Lines(r.Do("INFO", "commandstats").(string)) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(calls)
		if err != nil {
			r.t.Fatalf("commandstats %q: %v", line, err)
		}
		counts[name] = n
	}
	return counts
}

// ResetCommands sets the counts of Commands back to nothing.
func (r *Redis) ResetCommands() {
	r.t.Helper()
	r.Do("CONFIG", "RESETSTAT")
}
