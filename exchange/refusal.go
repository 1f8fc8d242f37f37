package exchange

import "errors"

// What a caller of Swap and Deposit must tell apart.
var (
	// ErrInactive: the reference is not one that is live now, for whatever reason; outside, all reasons are one 401.
	ErrInactive = errors.New("exchange: reference is not active")
	// ErrUnavailable: the store or the keys cannot answer; says nothing about the reference. 503.
	ErrUnavailable = errors.New("exchange: cannot decide now")
	// ErrQuota: the client is at its quota. 429 for that client.
	ErrQuota = errors.New("exchange: client is at its quota")
	// ErrRevoked: what the grant rests on was revoked while it was being made. 503: a new attempt decides anew.
	ErrRevoked = errors.New("exchange: revoked meanwhile")
	// ErrReplayed: the refresh token was used before: two hold what only one should.
	ErrReplayed = errors.New("exchange: refresh token was used before")
	// ErrTooLarge: a JWT is over MaxToken or the record over its cap.
	ErrTooLarge = errors.New("exchange: grant is too large")
)

// Reason says, inside, why a reference was refused: a closed set for logs and metrics, never shown outside.
type Reason string

// The reasons.
const (
	ReasonMalformed   Reason = "malformed"   // length, alphabet, prefix or checksum
	ReasonForged      Reason = "forged"      // no stamp key of ours made its tag
	ReasonStale       Reason = "stale"       // older than the longest life, or from the future
	ReasonUnknown     Reason = "unknown"     // no record: never issued, revoked, or expired there
	ReasonExpired     Reason = "expired"     // its manifest's exp has passed
	ReasonTampered    Reason = "tampered"    // the record does not open, its manifest does not hold, or it was replaced
	ReasonKeyRevoked  Reason = "key_revoked" // the key that signed its manifest is revoked
	ReasonUnavailable Reason = "unavailable" // with ErrUnavailable
	ReasonClosed      Reason = "closed"      // with ErrUnavailable: the issuers have not opened the store's shard
)

// Refusal is the error of Parse, Swap and Decide. errors.Is(err, ErrInactive) or errors.Is(err, ErrUnavailable), never both.
type Refusal struct {
	Reason Reason
	Err    error // detail for the log; may be nil; never holds a secret
}

func refuse(why Reason, detail error) *Refusal { return &Refusal{Reason: why, Err: detail} }

func (r *Refusal) Error() string {
	text := r.sentinel().Error() + ": " + string(r.Reason)
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap yields the sentinel, chosen by the reason alone, and the detail. No detail may itself be one of the two
// sentinels, or a refusal would be both.
func (r *Refusal) Unwrap() []error {
	if r.Err == nil {
		return []error{r.sentinel()}
	}
	return []error{r.sentinel(), r.Err}
}

func (r *Refusal) sentinel() error {
	if r.Reason == ReasonUnavailable || r.Reason == ReasonClosed {
		return ErrUnavailable
	}
	return ErrInactive
}
