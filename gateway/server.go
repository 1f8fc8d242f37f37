package gateway

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of the listener. The header has 5 s to arrive in whole, and 32 KiB; a TLS handshake has the same 5 s.
const (
	headerWait = 5 * time.Second
	idleWait   = 60 * time.Second
	maxHeader  = 32 << 10
)

// Server is an http.Server with every limit set, serving h; used for the edge's listener.
//
// Bodies and answers have no limit of time here, for a WebSocket or a stream of events is both: the edge bounds each
// read and each write instead, and the whole of what is not a stream. It speaks HTTP/1.1. Cleartext HTTP/2 stays
// off, whoever asks for it: its upgrade is a tunnel past the header limits.
func Server(h http.Handler) *http.Server {
	log := slog.Default()
	if e, ok := h.(*Edge); ok {
		log = e.log
	}
	s := &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            headerWait,
		IdleTimeout:                  idleWait,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // `OPTIONS *` has no route; it is refused and logged like any other
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Protocols:                    new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}
