package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/configs"
)

// A line waits at most logDelay, and at most logBuffer bytes wait: the access log costs no system call a request.
const (
	logBuffer = 256 << 10
	logDelay  = 100 * time.Millisecond
)

// logSink is where log lines go: redacted, buffered, flushed soon. A line that could not be written is counted, and
// the next one that can be written is preceded by the number: lines are never lost silently.
type logSink struct {
	out io.Writer

	mu   sync.Mutex // guards buf, held and lost
	buf  []byte
	held int // lines in buf
	lost int // lines that out refused
}

// newLogger makes the process's logger and the sink behind it, whose Run flushes it.
func newLogger(out io.Writer, t configs.Telemetry) (*slog.Logger, *logSink, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(t.LogLevel))); err != nil && t.LogLevel != "" {
		return nil, nil, fmt.Errorf("log level %q: %w", t.LogLevel, err)
	}
	sink := &logSink{out: out}
	opts := &slog.HandlerOptions{Level: level}
	if t.LogJSON {
		return slog.New(slog.NewJSONHandler(sink, opts)), sink, nil
	}
	return slog.New(slog.NewTextHandler(sink, opts)), sink, nil
}

// Write takes one line; handlers of log/slog write a record with one call.
func (s *logSink) Write(line []byte) (int, error) {
	clean := redact(line)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf)+len(clean) > logBuffer {
		s.flush()
	}
	s.buf = append(s.buf, clean...)
	s.held++
	return len(line), nil
}

// Run flushes the sink every logDelay until ctx ends, and then once more.
func (s *logSink) Run(ctx context.Context) {
	tick := time.NewTicker(logDelay)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.Flush()
			return
		case <-tick.C:
			s.Flush()
		}
	}
}

// Flush writes what waits.
func (s *logSink) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *logSink) flush() {
	if s.held == 0 {
		return
	}
	if s.lost > 0 {
		// Written by hand: a handler would come back here, and wait for mu.
		note := fmt.Appendf(nil, "{\"level\":\"ERROR\",\"msg\":\"log lines were lost\",\"lines\":%d}\n", s.lost)
		if _, err := s.out.Write(note); err == nil {
			s.lost = 0
		}
	}
	if _, err := s.out.Write(s.buf); err != nil {
		s.lost += s.held
	}
	s.buf, s.held = s.buf[:0], 0
}
