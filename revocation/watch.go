package revocation

import "time"

// Watch waits, for an open stream, for the end of its grant.
type Watch struct{}

// Cause says why a watched grant ended; a closed set.
type Cause string

// The causes.
const (
	Revoked   Cause = "revoked"
	Expired   Cause = "expired"
	LeaseLost Cause = "lease_lost" // the log has not been heard for the grace: nobody knows whether it is revoked
)

// Watch begins to watch a grant. m is the mark of the answer that let the stream begin, nil if that was not kept: then,
// as after every gap in the log, the store is asked whether the record still lives.
func (f *Follower) Watch(jti string, n Names, m *Mark, expires time.Time) *Watch { panic("contract") }

// Done is closed when the grant is revoked or expires, or a grace after the lease was lost.
func (w *Watch) Done() <-chan struct{} { panic("contract") }

// Cause is why, once Done is closed; empty before.
func (w *Watch) Cause() Cause { panic("contract") }

// Stop ends the watching; it is called exactly once, whether Done was closed or not.
func (w *Watch) Stop() { panic("contract") }
