package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// newPseudonym is this edge's name in Via (RFC 9110 §7.6.3). It is random, so that it shows nothing of the inside and two edges
// in a row, which is no loop, are not taken for one. A loop through replicas comes back to the same one in the end.
func newPseudonym() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return "coatcheck-" + hex.EncodeToString(b[:])
}

// visited reports whether a request has been forwarded by this edge before.
func visited(h http.Header, pseudonym string) bool {
	for _, line := range h["Via"] {
		for hop := range strings.SplitSeq(line, ",") {
			// received-protocol RWS received-by [ RWS comment ]
			if fields := strings.Fields(hop); len(fields) > 1 && strings.EqualFold(fields[1], pseudonym) {
				return true
			}
		}
	}
	return false
}

// addVia says that a request has passed here, and by which protocol it came.
func addVia(h http.Header, r *http.Request, pseudonym string) {
	h["Via"] = append(h["Via"], strings.TrimPrefix(r.Proto, "HTTP/")+" "+pseudonym)
}
