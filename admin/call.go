package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// call is one request on its way: the answer passes through it, so that the audit line knows how it ended. Nothing in it
// was chosen by somebody without a token, but for the method.
type call struct {
	http.ResponseWriter
	started time.Time
	id      string // of this request; random
	peer    netip.Addr
	method  string
	name    string // of the token; empty: none of ours
	pattern string // of the route; empty: none
	status  int    // 0: nothing was answered yet
	silent  bool   // it has no line of its own
	untold  int    // calls before it that had none
	auditor Auditor
	trouble error // why it could not be written down
}

func newCall(w http.ResponseWriter, r *http.Request) *call {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return &call{ResponseWriter: w, started: time.Now(), id: hex.EncodeToString(id[:]), peer: peerOf(r), method: r.Method}
}

// WriteHeader keeps the status.
func (c *call) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write is a 200 when no status was said, as in net/http.
func (c *call) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// audit writes the one line of this call, unless it is one of many wrong tokens. A method is cut: whoever sends it may have no token.
func (a *api) audit(ctx context.Context, c *call) {
	if c.silent {
		return
	}
	level := slog.LevelInfo
	switch {
	case c.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case c.status >= http.StatusBadRequest:
		level = slog.LevelWarn
	}
	attrs := append(c.attributes(),
		slog.Int("status", c.status),
		slog.Float64("duration_ms", float64(time.Since(c.started).Microseconds())/1000))
	if c.untold > 0 {
		attrs = append(attrs, slog.Int("untold", c.untold))
	}
	if c.trouble != nil {
		attrs = append(attrs, slog.String("error", c.trouble.Error()))
	}
	a.logger.LogAttrs(ctx, level, "admin call", attrs...)
	c.auditAnswer(attrs)
}

// attributes say who asks for what.
func (c *call) attributes() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("caller", c.name),
		slog.String("method", c.method[:min(len(c.method), 16)]),
		slog.String("path", c.pattern),
		slog.String("request_id", c.id),
	}
	if c.peer.IsValid() {
		attrs = append(attrs, slog.String("address", c.peer.String()))
	}
	return attrs
}
