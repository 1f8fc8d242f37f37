package issuer

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// introspectionType is the `typ` of a signed answer (RFC 9701 §5): no verifier takes it for an access token.
const introspectionType = "token-introspection+jwt"

// introspection is an answer, ready to be written. No cache may keep one (RFC 7662 §4): it says how a token stood when it
// was asked about, and may be different the moment after.
type introspection struct {
	status int
	kind   representation // empty: no body
	keep   string         // Cache-Control
	body   []byte
}

// introspection puts what is known of a token into the form that was asked for.
func (i *Issuer) introspection(s standing, c *clients.Known, as representation, now time.Time) (introspection, *refusal) {
	if as == asBare {
		return bare(s, now), nil
	}
	body, err := s.members()
	if err != nil {
		return introspection{}, &refusal{outcome: internalTrouble, why: "the answer could not be made; the operator's log says why", detail: err}
	}
	if as == asSigned {
		var no *refusal
		if body, no = i.signIntrospection(body, c, now); no != nil {
			return introspection{}, no
		}
	}
	return introspection{http.StatusOK, as, "no-store", body}, nil
}

// members is the answer of RFC 7662 §2.2: the claims of the token that the service is sent, and no others. What is not
// active is always these same bytes. The origin of a grant is for us alone; who wants it exchanged presents the token.
func (s standing) members() ([]byte, error) {
	if !s.active() {
		return []byte(`{"active":false}`), nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(s.claims, &all); err != nil {
		return nil, err
	}
	delete(all, "origin")
	all["active"], all["token_type"] = json.RawMessage("true"), json.RawMessage(`"Bearer"`)
	return json.Marshal(all)
}

// signIntrospection is RFC 9701 §5: the same answer, for the caller alone, as something that he can keep as evidence. It has
// no sub and no exp of its own, so that nothing which reads JWTs takes it for a token.
func (i *Issuer) signIntrospection(members []byte, c *clients.Known, now time.Time) ([]byte, *refusal) {
	ring, err := i.keeper.Current()
	if err != nil {
		return nil, unavailableNow("signing keys are not available", err)
	}
	payload, err := json.Marshal(struct {
		Issuer   string          `json:"iss"`
		Audience string          `json:"aud"`
		IssuedAt int64           `json:"iat"`
		Answer   json.RawMessage `json:"token_introspection"`
	}{i.place.issuer, c.ID, now.Unix(), members})
	text := ""
	if err == nil {
		text, err = ring.Active().Sign(introspectionType, payload)
	}
	if err != nil {
		return nil, &refusal{outcome: internalTrouble, why: "the answer could not be made; the operator's log says why", detail: err}
	}
	return []byte(text), nil
}

// bareAge is what a plugin is told that keeps answers whatever HTTP says. The Lua plugin for phantom tokens reads max-age
// alone, and takes five minutes of its own where there is none or a 0; so there always is one, and it is as short as can
// be said. Everything that keeps to HTTP (RFC 9111 §5.2.2.5), nginx' proxy_cache for one, obeys no-store.
const bareAge = time.Second

// bare is the token itself, or no content. A token that ends sooner than bareAge is not active any more in this form, or
// who keeps answers would keep it beyond its end.
func bare(s standing, now time.Time) introspection {
	if !s.active() || s.expires.Sub(now) < bareAge {
		return introspection{status: http.StatusNoContent, keep: "no-store"}
	}
	return introspection{http.StatusOK, asBare, "no-store, max-age=" + strconv.Itoa(int(bareAge/time.Second)), []byte(s.token.Reveal())}
}

// write says the length: the nginx module for phantom tokens cannot read a body in chunks.
func (a introspection) write(w http.ResponseWriter) {
	h := w.Header()
	keepNothing(h)
	h.Set("Cache-Control", a.keep)
	if a.kind != "" {
		h.Set("Content-Type", string(a.kind))
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the caller has gone: nobody is left to tell
}
