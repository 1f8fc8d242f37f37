package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/configs"
)

// TestRedactMasksWhatSlipsThrough: wherever in a line somebody puts a reference or a JWT.
func TestRedactMasksWhatSlipsThrough(t *testing.T) {
	t.Parallel()
	reference := "cck_" + strings.Repeat("a1B2c", 13)
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x"
	for _, json := range []bool{true, false} {
		var out bytes.Buffer
		log, sink, err := newLogger(&out, configs.Telemetry{LogJSON: json, LogLevel: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("said " + reference + " and " + jwt)
		log.Info("attribute", slog.String("token", reference), slog.Any("error", errors.New("bad "+jwt)))
		log.Info("group", slog.Group("headers", slog.Any("authorization", []string{"Bearer " + reference, "Bearer " + jwt})))
		log.Info("cut", slog.String("part", reference[:60]), slog.String("mine", "acme9_"+reference[4:]))
		log.Info("kept", slog.String("jti", "5f0c6f2d9a8b4e1c7d3f6a5b4c3d2e1f"), slog.String("key", "3xWv_Zp9Qm2Lk8Jh7Gf6Ds5Aa4Sd3Fg2Hj1Kl0Zx9Cv"))
		sink.Flush()
		got := out.String()
		if strings.Contains(got, "eyJ") || strings.Contains(got, "a1B2c") {
			t.Errorf("json %v: a credential is in the log:\n%s", json, got)
		}
		for want, n := range map[string]int{"[reference]": 5, "[jwt]": 3, "5f0c6f2d9a8b4e1c7d3f6a5b4c3d2e1f": 1, "3xWv_Zp9Qm2Lk8Jh7Gf6Ds5Aa4Sd3Fg2Hj1Kl0Zx9Cv": 1, "\n": 5} {
			if strings.Count(got, want) != n {
				t.Errorf("json %v: %q is in the log %d times, want %d:\n%s", json, want, strings.Count(got, want), n, got)
			}
		}
	}
}

// TestLogLinesWaitBriefly: a line is out after logDelay at the latest, or when the buffer is full, or at the end.
func TestLogLinesWaitBriefly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, sink, err := newLogger(&out, configs.Telemetry{LogJSON: true})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); sink.Run(t.Context()) }()
		log.Info("one")
		time.Sleep(logDelay + time.Millisecond)
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("%d lines are out after %v, want 1", n, logDelay)
		}
		log.Info(strings.Repeat("x", logBuffer/2))
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines are out when the buffer is half full, want 2", n)
		}
		log.Info("three")
		sink.Flush()
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("%d lines are out at the end, want all 3", n)
		}
	})
}

// TestNobodyWaitsForAStuckReader: whoever logs goes on while the log's reader does not read; what finds no room is counted.
func TestNobodyWaitsForAStuckReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		log, sink, err := newLogger(out, configs.Telemetry{LogJSON: true})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("first")
		go sink.Flush()
		synctest.Wait() // the flush is stuck in out
		big := strings.Repeat("x", logBuffer/2)
		for range 3 { // would never return if Write waited for the flush
			log.Info(big)
		}
		close(out.free)
		sink.Flush()
		sink.Flush()
		if got := out.String(); !strings.Contains(got, `"lines":2`) || strings.Count(got, big) != 1 {
			t.Errorf("out are %d bytes with %d big lines, want 1 and the number of the 2 others", len(got), strings.Count(got, big))
		}
	})
}

// stuck is a writer that waits until it is freed.
type stuck struct {
	bytes.Buffer
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.Buffer.Write(p)
}

// TestLostLinesAreCounted: a full disk loses lines, but says how many.
func TestLostLinesAreCounted(t *testing.T) {
	t.Parallel()
	out := &flaky{broken: true}
	log, sink, err := newLogger(out, configs.Telemetry{LogJSON: true})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("lost")
	log.Info("lost too")
	sink.Flush()
	out.broken = false
	log.Info("kept")
	sink.Flush()
	if got := out.String(); !strings.Contains(got, `"lines":2`) || !strings.Contains(got, "kept") {
		t.Errorf("after two lost lines the log is %q, want their number and the third", got)
	}
}

// flaky is a writer that can be broken.
type flaky struct {
	bytes.Buffer
	broken bool
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.broken {
		return 0, errors.New("no space left on device")
	}
	return f.Buffer.Write(p)
}
