package trust

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// claims are a payload that package verifier has checked: valid, and no name twice. A map is read by exact names, which a
// struct is not.
type claims struct{ all map[string]json.RawMessage }

// has: a claim that is null says nothing and is there all the same.
func (c claims) has(name string) bool {
	_, ok := c.all[name]
	return ok
}

func (c claims) text(name string) (s string, ok bool) {
	raw := c.all[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// moment reads a NumericDate, whose range package verifier has checked; a fraction is cut off.
func (c claims) moment(name string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(string(c.all[name]), 64)
	return time.Unix(int64(seconds), 0), err == nil
}

// Said is what a token says of itself, unverified: enough to find out whom to ask about it.
type Said struct{ Type, Issuer string }

// Say reads a token without believing it. What cannot be read is empty; package verifier refuses it then.
func Say(raw string) (s Said) {
	header, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	if len(raw) > MaxToken {
		return Said{}
	}
	var h, p claims
	if readSegment(header, &h) && readSegment(payload, &p) {
		s.Type, _ = h.text("typ")
		s.Issuer, _ = p.text("iss")
	}
	return s
}

func readSegment(segment string, into *claims) bool {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(text, &into.all) == nil
}

// invalid says why a token is refused, in words of ours.
func invalid(reason string) error { return fmt.Errorf("%w: %s", verifier.ErrInvalid, reason) }
