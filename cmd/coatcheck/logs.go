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

// A line waits at most logDelay, and at most logBuffer bytes wait: the access log costs no system call a request. The last
// quarter of them is kept for audit lines.
const (
	logBuffer   = 1 << 20
	logOrdinary = logBuffer / 4 * 3
	logDelay    = 100 * time.Millisecond
)

// logSink is where log lines go: redacted, buffered, flushed soon. Nobody who logs waits for whoever reads the log:
// a line for which there is no room, because the reader is stuck, is lost, and so is one that could not be written.
// Lost lines are counted, and the next ones that are written are preceded by the number: none is lost silently.
type logSink struct {
	out  io.Writer
	full chan struct{} // half of the buffer is full: Run flushes early

	mu   sync.Mutex // guards buf, held and lost; never held while out is written
	buf  []byte
	held int // lines in buf
	lost int // lines that found no room, or that out refused

	writing sync.Mutex // one flush at a time, so that lines keep their order; guards spare; taken before mu
	spare   []byte     // the buffer that was written last, for the next exchange
}

// newLogger makes the process's logger and the sink behind it, whose Run flushes it.
func newLogger(out io.Writer, t configs.Telemetry) (*slog.Logger, *logSink, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(t.LogLevel))); err != nil && t.LogLevel != "" {
		return nil, nil, fmt.Errorf("log level %q: %w", t.LogLevel, err)
	}
	sink := &logSink{out: out, full: make(chan struct{}, 1)}
	opts := &slog.HandlerOptions{Level: level}
	if t.LogJSON {
		return slog.New(auditing{slog.NewJSONHandler(sink, opts), slog.NewJSONHandler(auditLines{sink}, opts)}), sink, nil
	}
	return slog.New(auditing{slog.NewTextHandler(sink, opts), slog.NewTextHandler(auditLines{sink}, opts)}), sink, nil
}

// Write takes one ordinary line; handlers of log/slog write a record with one call. It never blocks and never fails.
func (s *logSink) Write(line []byte) (int, error) { return s.add(line, logOrdinary) }

// add takes a line while no more than room bytes wait with it.
func (s *logSink) add(line []byte, room int) (int, error) {
	clean := redact(line)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf)+len(clean) > room {
		s.lost++
		return len(line), nil
	}
	s.buf = append(s.buf, clean...)
	s.held++
	if len(s.buf) > logBuffer/2 {
		select {
		case s.full <- struct{}{}:
		default: // it has been told
		}
	}
	return len(line), nil
}

// Run flushes the sink every logDelay, or when it is half full, until ctx ends, and then once more.
func (s *logSink) Run(ctx context.Context) {
	tick := time.NewTicker(logDelay)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-s.full:
		}
		s.Flush()
	}
}

// Start runs the sink in the background until stop is called, which flushes once more. The end of ctx does not stop it:
// what is said while the process drains goes out too.
func (s *logSink) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go s.Run(ctx)
	return func() {
		cancel()
		s.Flush()
	}
}

// Flush writes what waits, and first the number of lines that were lost before it.
func (s *logSink) Flush() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	lines, held, lost := s.buf, s.held, s.lost
	s.buf, s.held, s.lost = s.spare[:0], 0, 0
	s.mu.Unlock()
	s.spare = lines
	if lost > 0 {
		// Written by hand: a handler would come back here.
		note := fmt.Appendf(nil, "{\"level\":\"ERROR\",\"msg\":\"log lines were lost\",\"lines\":%d}\n", lost)
		if _, err := s.out.Write(note); err != nil {
			s.lose(lost)
		}
	}
	if held > 0 {
		if _, err := s.out.Write(lines); err != nil {
			s.lose(held)
		}
	}
}

func (s *logSink) lose(lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += lines
}
