// Package processtest runs the real program in tests: issuers and edges as processes on free ports, a real
// redis-server between them, and upstreams that record what reaches them. It can kill, stop, continue and restart
// every one of them, because that is what happens to processes.
//
// A test starts with New, which makes a Lab: one deployment with its own secrets, ports and directory. Everything
// that a Lab starts is ended with the test, by its process id. A process that reports a data race fails the test.
//
// The program is built once for each test binary, with the race detector when the test has it. The test binary's
// TestMain has to be
//
//	func TestMain(m *testing.M) { os.Exit(processtest.Main(m)) }
package processtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// program is what `go build` is asked for.
const program = "github.com/coatcheck/coatcheck/cmd/coatcheck"

// binaryVariable names the built program for the tests of this binary.
const binaryVariable = "PROCESSTEST_COATCHECK"

// Patience is how long the kit waits for anything before the test fails. It is long because machines are slow at
// times; no test takes it when all is well.
const Patience = 30 * time.Second

// pollEvery is the pause between two looks at something that takes its time.
const pollEvery = 5 * time.Millisecond

// Main builds the program, runs the tests, and removes it.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "processtest-")
	if err == nil {
		err = build(filepath.Join(dir, "coatcheck"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "processtest:", errors.Join(err, os.RemoveAll(dir)))
		return 1
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "processtest:", err)
		return 1
	}
	return code
}

func build(to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	args := []string{"build", "-tags", "nomsgpack", "-o", to}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, program)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return os.Setenv(binaryVariable, to)
}

// Binary is the path of the built program.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(binaryVariable)
	if path == "" {
		t.Fatal("processtest: there is no program: TestMain has to be os.Exit(processtest.Main(m))")
	}
	return path
}

// Eventually looks until it is so; the test fails when that takes longer than Patience. what says what was awaited.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	late := time.Now().Add(Patience)
	for !so() {
		if time.Now().After(late) {
			t.Fatalf("not so after %v: %s", Patience, what)
		}
		time.Sleep(pollEvery)
	}
}
