package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// problem is why a call got no further than here. Texts are constant, but for the scope that is lacking.
type problem struct {
	code   string
	status int
	detail string // names the mend
}

// What this package answers itself; the rest is the handlers' own.
var (
	unknownToken = problem{
		"token_required", http.StatusUnauthorized,
		"Send Authorization: Bearer and the secret of one of the tokens under admin.tokens of the issuer's configuration.",
	}
	tooManyWrong = problem{
		"too_many_wrong_tokens", http.StatusTooManyRequests,
		"Too many wrong tokens came from this address. Find the program that sends them; a right token is let in all the same.",
	}
	lacksScope       = problem{"insufficient_scope", http.StatusForbidden, "This token may not do that: add a scope to it under admin.tokens: "}
	noSuchPath       = problem{"no_such_path", http.StatusNotFound, "There is nothing at this path."}
	methodNotAllowed = problem{"method_not_allowed", http.StatusMethodNotAllowed, "Use one of the methods in Allow."}
	notWrittenDown   = problem{
		"audit_unavailable", http.StatusServiceUnavailable,
		"The audit log cannot be written, and nothing is changed that is not written down: make room on the disk of audit.file, then try again.",
	}
	internalError = problem{"internal_error", http.StatusInternalServerError, "The issuer has failed; its log has the request id."}
)

// refuse answers with a problem document (RFC 9457), and ends the connection: nobody holds one by being refused, and what
// is still to come of a body is not waited for.
func (c *call) refuse(p problem) {
	body, err := json.Marshal(struct {
		Code      string `json:"code"`
		Status    int    `json:"status"`
		Title     string `json:"title"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{p.code, p.status, http.StatusText(p.status), p.detail, c.id})
	if err != nil {
		panic("admin: problem cannot be marshalled: " + err.Error())
	}
	c.Header().Set("Connection", "close")
	c.Header().Set("Content-Type", "application/problem+json")
	c.WriteHeader(p.status)
	_, _ = c.Write(body) // the caller has gone: nobody is left to tell
}

// stranger answers who has no token of ours, with the challenge of RFC 6750 §3. wait is above 0 when the address has
// brought too many of them.
func (c *call) stranger(wait time.Duration) {
	if wait > 0 {
		c.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		c.refuse(tooManyWrong)
		return
	}
	c.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck admin"`)
	c.refuse(unknownToken)
}

// lacks names the scope, as RFC 6750 §3.1 asks: who has a token may know what it is not for.
func (c *call) lacks(s Scope) {
	c.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck admin", error="insufficient_scope", scope="`+string(s)+`"`)
	p := lacksScope
	p.detail += string(s)
	c.refuse(p)
}
