package issuer

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// outcome is how a request ended: a closed set, the value of the `outcome` label and of the log's field.
type outcome string

const (
	issued           outcome = "issued"
	repeated         outcome = "repeated" // a refresh token, for the same request: what was issued the first time
	revoked          outcome = "revoked"
	nothingToRevoke  outcome = "nothing_to_revoke"
	tokenActive      outcome = "active"
	tokenInactive    outcome = "inactive"
	noSuchPath       outcome = "no_such_path"
	methodNotAllowed outcome = "method_not_allowed"
	mediaType        outcome = "media_type"
	bodyTooLarge     outcome = "body_too_large"
	headerTooLarge   outcome = "header_too_large"
	invalidRequest   outcome = "invalid_request"
	invalidClient    outcome = "invalid_client"
	invalidGrant     outcome = "invalid_grant"
	replayed         outcome = "replayed" // a refresh token that was used before: its family was revoked
	unauthorized     outcome = "unauthorized_client"
	unsupportedGrant outcome = "unsupported_grant_type"
	invalidScope     outcome = "invalid_scope"
	invalidTarget    outcome = "invalid_target"
	quotaReached     outcome = "quota_reached"
	rateReached      outcome = "rate_reached"
	notAcceptable    outcome = "not_acceptable"
	servesNothing    outcome = "serves_nothing"
	anotherClients   outcome = "another_clients_token"
	unsupportedToken outcome = "unsupported_token_type"
	notDurable       outcome = "not_durable"
	unavailable      outcome = "unavailable"
	internalTrouble  outcome = "server_error"
)

const (
	retryUnavailable = 2 * time.Second
	maxDescription   = 240 // bytes of an error_description
	basicChallenge   = `Basic realm="coatcheck", charset="UTF-8"`
)

// answer is the one table of errors: what an outcome is on the wire. Codes are those of RFC 6749 §5.2 and RFC 8707
// §2; temporarily_unavailable and server_error are RFC 6749 §4.1.2.1's, which §5.2 has no equal of. A quota is 429
// with temporarily_unavailable: the same request may be sent again, later, by this client. So is a rate. A token of
// another client is invalid_grant, the one code whose meaning says so: "or was issued to another client"; RFC 7009 §2.1
// asks for a refusal and leaves the code to §5.2. unsupported_token_type is RFC 7009 §2.2.1's. A client that is no
// service is told so with a 403, and not with the answer about a dead token, or nobody would look for the slip.
func (o outcome) answer() (status int, code string) {
	switch o {
	case issued, repeated, revoked, nothingToRevoke, tokenActive, tokenInactive:
		return http.StatusOK, ""
	case noSuchPath:
		return http.StatusNotFound, "invalid_request"
	case methodNotAllowed:
		return http.StatusMethodNotAllowed, "invalid_request"
	case mediaType:
		return http.StatusUnsupportedMediaType, "invalid_request"
	case headerTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge, "invalid_request"
	case bodyTooLarge:
		return http.StatusRequestEntityTooLarge, "invalid_request"
	case invalidRequest, invalidGrant, unauthorized, unsupportedGrant, invalidScope, invalidTarget, unsupportedToken:
		return http.StatusBadRequest, string(o)
	case notAcceptable:
		return http.StatusNotAcceptable, "invalid_request"
	case servesNothing:
		return http.StatusForbidden, "unauthorized_client"
	case anotherClients, replayed:
		return http.StatusBadRequest, "invalid_grant"
	case invalidClient:
		return http.StatusUnauthorized, "invalid_client"
	case quotaReached, rateReached:
		return http.StatusTooManyRequests, "temporarily_unavailable"
	case unavailable, notDurable:
		return http.StatusServiceUnavailable, "temporarily_unavailable"
	default:
		return http.StatusInternalServerError, "server_error"
	}
}

// refusal is an answer that is not a token. Its parts have different readers.
type refusal struct {
	outcome outcome
	why     string        // a constant of ours: for the client and for the log
	about   string        // from the request: shown back to who sent it, and to nobody else
	detail  error         // for the log alone; holds no secret
	retry   time.Duration // Retry-After; 0: none
}

func refuse(o outcome, why string) *refusal { return &refusal{outcome: o, why: why} }

// unavailableNow is the refusal for everything that passes by itself.
func unavailableNow(why string, detail error) *refusal {
	return &refusal{outcome: unavailable, why: why, detail: detail, retry: retryUnavailable}
}

// description is the error_description: why, and what of the request it is about.
func (r *refusal) description() string {
	if r.about == "" {
		return plain(r.why)
	}
	return plain(r.why + ": " + r.about)
}

// plain keeps what RFC 6749 §5.2 allows in an error_description: %x20-21, %x23-5B, %x5D-7E. All else becomes "?",
// so that nothing a client sends can break out of a header, a log line or a page that shows it.
func plain(s string) string {
	if len(s) > maxDescription {
		s = s[:maxDescription]
	}
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
}

// write answers with the refusal. A 401 always carries the challenge (RFC 9110 §15.5.2), so that its answer is the
// same whichever way the client tried.
func (r *refusal) write(w http.ResponseWriter) {
	status, code := r.outcome.answer()
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", basicChallenge)
	}
	if r.retry > 0 {
		w.Header().Set("Retry-After", wholeSecondsUp(r.retry))
	}
	writeJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{code, r.description()})
}

// wholeSecondsUp is how Retry-After is written: never sooner than meant.
func wholeSecondsUp(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// keepNothing marks an answer that no cache may keep (RFC 6749 §5.1).
func keepNothing(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}

// writeJSON answers with a body that must not be kept.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("issuer: answer cannot be marshalled: " + err.Error())
	}
	keepNothing(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: nobody is left to tell
}
