package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

const requestIDHeader = "X-Request-Id"

// maxRequestID is shorter than any reference (68 characters and more), so that a client which puts its reference
// there by mistake does not find it in our logs.
const maxRequestID = 64

// requestID is the client's own id if there is exactly one and it is harmless wherever it will be printed, else a
// new one. It names a request in logs and answers and decides nothing, so it need not be unguessable.
func requestID(h http.Header) string {
	if lines := h[requestIDHeader]; len(lines) == 1 && isRequestID(lines[0]) {
		return lines[0]
	}
	return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
}

func isRequestID(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("-._", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxRequestID
}
