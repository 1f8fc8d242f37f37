package issuer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/envelope"
)

// audience is what its service gets to see of a grant, beside what every JWT says.
type audience struct {
	listed   []string            // claims that it may see
	all      bool                // nothing is listed: every claim that is configured for the client
	envelope *envelope.Recipient // nil: signed alone
}

// newAudience refuses a list with a name that every JWT has anyway, or twice: two that differ in case alone are one to some
// JSON readers, and package verifier refuses a token that has both.
func newAudience(a Audience) (audience, error) {
	taken := clients.ReservedClaims()
	for _, name := range a.Claims {
		if name == "" || slices.ContainsFunc(taken, func(other string) bool { return strings.EqualFold(other, name) }) {
			return audience{}, fmt.Errorf("claim %q is listed twice, or set by the issuer alone: list other claims, each once", name)
		}
		taken = append(taken, name)
	}
	return audience{listed: slices.Clone(a.Claims), all: a.Claims == nil, envelope: a.Envelope}, nil
}

// visible are the claims for one audience: those of the client that it may see, and those that another issuer says of the
// subject, which it sees only when they are listed. Where both have one, that of the client counts: an operator has decided
// about it.
func (a audience) visible(ofClient, ofSubject map[string]json.RawMessage) map[string]json.RawMessage {
	if a.all {
		return ofClient
	}
	seen := make(map[string]json.RawMessage, len(a.listed))
	for _, name := range a.listed {
		if value, ok := ofClient[name]; ok {
			seen[name] = value
		} else if value, ok := ofSubject[name]; ok {
			seen[name] = value
		}
	}
	return seen
}

// appendClaims writes claims behind the last member of an object that is still open, in the order of their names.
func appendClaims(object []byte, claims map[string]json.RawMessage) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		object = append(append(append(append(object, ','), key...), ':'), claims[name]...)
	}
	return object, nil
}
