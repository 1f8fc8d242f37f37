package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/revocation"
)

// fault is why an operation was not done. Operators read it: it may quote what they sent, but for what may be a secret.
type fault struct {
	code   string
	detail string        // names the mend
	cause  error         // for the log alone
	retry  time.Duration // Retry-After; 0: none
}

// status is the one table of codes.
func (f *fault) status() int {
	switch f.code {
	case "invalid_request", "unknown_key":
		return http.StatusBadRequest
	case "conflict":
		return http.StatusConflict
	case "not_found":
		return http.StatusNotFound
	case "too_large":
		return http.StatusRequestEntityTooLarge
	default: // temporarily_unavailable, not_in_force, key_not_withdrawn
		return http.StatusServiceUnavailable
	}
}

func wrongRequest(format string, args ...any) *fault {
	return &fault{code: "invalid_request", detail: fmt.Sprintf(format, args...)}
}

func storeAway(err error) *fault {
	return &fault{code: "temporarily_unavailable", detail: "The store cannot answer now; /readyz of this issuer says why. Ask again.", cause: err, retry: retryUnavailable}
}

// notEnded is the fault of a revocation that failed, by its error.
func notEnded(err error) *fault {
	var quiet *keyring.QuietError
	switch {
	case errors.As(err, &quiet):
		return &fault{
			code: "key_not_withdrawn", cause: err, retry: quiet.Wait,
			detail: "No edge accepts the key any more, but it is still published, because the key ring was restored a moment ago. Ask again.",
		}
	case errors.Is(err, errNotWithdrawn):
		return &fault{
			code: "key_not_withdrawn", cause: err, retry: retryUnavailable,
			detail: "No edge accepts the key any more, but it could not be taken out of the key ring, so services still do. Ask again.",
		}
	case errors.Is(err, revocation.ErrNotDurable):
		return &fault{
			code: "not_in_force", cause: err, retry: retryUnavailable,
			detail: "The revocation is not in force yet: take the tokens for alive. It may still be made; ask again until it is. /readyz of this issuer says what is missing.",
		}
	}
	return &fault{
		code: "temporarily_unavailable", cause: err, retry: retryUnavailable,
		detail: "The revocation failed: take the tokens for alive. Ask again; the log of this issuer says why.",
	}
}

// write answers with a problem document (RFC 9457), in the shape of the admin API's own.
func (f *fault) write(w http.ResponseWriter, requestID string) {
	body, err := json.Marshal(struct {
		Code      string `json:"code"`
		Status    int    `json:"status"`
		Title     string `json:"title"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id,omitempty"`
	}{f.code, f.status(), http.StatusText(f.status()), f.detail, requestID})
	if err != nil {
		panic("issuer: fault cannot be marshalled: " + err.Error())
	}
	keepNothing(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	if f.retry > 0 {
		w.Header().Set("Retry-After", wholeSecondsUp(f.retry))
	}
	w.WriteHeader(f.status())
	_, _ = w.Write(body) // the caller has gone: nobody is left to tell
}
