package trust

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// subject is what somebody is called here.
func (i *Issuer) subject(c claims) (string, error) {
	sub, ok := c.text("sub")
	if !ok {
		return "", invalid("its sub is missing or not a string")
	}
	name, ok := i.named(sub)
	if !ok {
		return "", invalid("its sub is empty, too long, or has a control character")
	}
	return name, nil
}

// named puts the alias before a foreign name. An alias has no colon and is never "client": so nobody has the name of a
// client (RFC 9068 §5), nor of another issuer's subject.
func (i *Issuer) named(sub string) (string, bool) {
	name := i.alias + ":" + sub
	return name, sub != "" && len(name) <= maxSubject && utf8.ValidString(sub) && !strings.ContainsFunc(sub, unseen)
}

// unseen characters let two names look alike, or one line of a log like two.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// Actor is who may act for a subject (RFC 8693 §4.4), as the token's issuer names him.
type Actor struct {
	Subject string // in our words, if the token's own issuer names him; else as he is called there
	Issuer  string // empty: the token's own
}

// mayAct reads the claim of that name. What it has beside sub and iss would narrow it further, so what we cannot hold
// somebody to is refused with the token.
func (i *Issuer) mayAct(c claims) (*Actor, error) {
	if !c.has("may_act") {
		return nil, nil
	}
	var members claims
	if err := json.Unmarshal(c.all["may_act"], &members.all); err != nil {
		return nil, invalid("its may_act is not an object")
	}
	for name := range members.all {
		if name != "sub" && name != "iss" {
			return nil, invalid("its may_act names somebody by more than sub and iss")
		}
	}
	sub, ok := members.text("sub")
	issuer, named := members.text("iss")
	if !ok || members.has("iss") && (!named || issuer == "") {
		return nil, invalid("its may_act has no sub, or an iss that is not a name")
	}
	if issuer != "" && issuer != i.config.Issuer {
		return &Actor{sub, issuer}, nil
	}
	name, ok := i.named(sub)
	if !ok {
		return nil, invalid("its may_act names nobody")
	}
	return &Actor{Subject: name}, nil
}
