package main

import (
	"context"
	"log"
	"log/slog"
)

// muffled is what the standard library's own logger writes to. net/http quotes a peer there, past every logger that it
// was given: of an upstream that answers twice, the first bytes of the second answer, which may be the JWT that it got.
type muffled struct{ log *slog.Logger }

func (m muffled) Write(line []byte) (int, error) {
	m.log.LogAttrs(context.Background(), slog.LevelDebug, "the standard library said something; its text is dropped because it may quote an upstream")
	return len(line), nil
}

// muffle is for every command that serves. The standard logger is one for the process, and so is l.
func muffle(l *slog.Logger) { log.SetOutput(muffled{l}) }
