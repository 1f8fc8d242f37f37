package revocation

import "github.com/coatcheck/coatcheck/store"

// What the store says of a record that it is asked to inspect; anything else says nothing about it.
var (
	ErrNotFound = store.ErrNotFound // there is none, or it has expired
	ErrRevoked  = store.ErrRevoked  // it was revoked by its jti, and would still be there
)
