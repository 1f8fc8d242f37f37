package gateway

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of the listener. The header has 5 s to arrive in whole, and 32 KiB, to which net/http adds up to 4 KiB of what it
// reads ahead; a TLS handshake has the same 5 s.
const (
	headerWait = 5 * time.Second
	idleWait   = 60 * time.Second
	maxHeader  = 32 << 10
)

// Server is an http.Server with every limit set, serving h; used for every listener, the edge's and others.
//
// A connection ends with the first request on it whose framing another server may read differently.
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
		Handler:                      endAmbiguous(h),
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

// endAmbiguous closes the connection after a request that net/http has framed by dropping something without a word: a
// Content-Length beside Transfer-Encoding, and any Transfer-Encoding in HTTP/1.0. It would serve what follows as the
// next request, and a server before us may have sent that as part of this one's body (RFC 9112 §6.1).
func endAmbiguous(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.ProtoAtLeast(1, 1) || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
