package issuer

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// listedGrant is a grant as operators see it: nothing of it opens anything.
type listedGrant struct {
	JTI          string     `json:"jti"`
	State        string     `json:"state"`                   // live or revoked
	Client       string     `json:"client,omitempty"`        // only of a client that is configured
	ClientHandle string     `json:"client_handle,omitempty"` // this and what follows is unknown of a token that was revoked by its jti
	Family       string     `json:"family,omitempty"`
	Subject      string     `json:"subject_handle,omitempty"`
	Kind         string     `json:"kind,omitempty"`   // refresh: a family of refresh tokens, under the jti that all of them have; else a grant
	KeyID        string     `json:"key_id,omitempty"` // of a grant
	IssuedAt     *time.Time `json:"issued_at,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	Bytes        int        `json:"bytes,omitempty"`
}

const (
	live         = "live"
	revokedState = "revoked"
)

// directory knows the configured clients by their handles.
type directory map[string]string

func (i *Issuer) directory(n names) directory {
	d := directory{}
	for c := range i.register.clients.All() {
		d[n.handle("client", c.ID)] = c.ID
	}
	return d
}

func (d directory) grant(l revocation.Listed) listedGrant {
	issued, expires := l.IssuedAt.UTC(), l.ExpiresAt.UTC()
	g := listedGrant{
		JTI: l.JTI, State: live, Client: d[l.Client], ClientHandle: l.Client, Family: l.Family, Subject: l.Subject,
		KeyID: l.KeyID, IssuedAt: &issued, ExpiresAt: &expires, Bytes: l.Bytes,
	}
	if l.Revoked {
		g.State = revokedState
	}
	if l.Refresh {
		g.Kind, g.KeyID = "refresh", ""
	}
	return g
}

// Bounds of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
	listTime     = 5 * time.Second
)

// tokenList is one page. It may hold some more than was asked for, or, where few of many records match, fewer: there is
// more as long as next is given.
type tokenList struct {
	Tokens []listedGrant `json:"tokens"`
	Next   string        `json:"next,omitempty"` // to be brought back as cursor
}

// getTokens lists live grants in no order. It walks the store, so it is for people and not for loops.
func (i *Issuer) getTokens(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	ctx, cancel := context.WithTimeout(r.Context(), listTime)
	defer cancel()
	n := i.names()
	q, wrong := i.readQuery(ctx, n, r.URL.RawQuery)
	if wrong != nil {
		return nil, wrong
	}
	known := i.directory(n)
	list := tokenList{Tokens: []listedGrant{}}
	next, done, err := i.walk(ctx, q.from, func(page []revocation.Listed) bool {
		for _, l := range page {
			if !l.Revoked && q.matches(l) {
				list.Tokens = append(list.Tokens, known.grant(l))
			}
		}
		return len(list.Tokens) >= q.limit
	})
	if err != nil && ctx.Err() == nil {
		return nil, storeAway(err)
	}
	if !done {
		list.Next = next.String()
	}
	return list, nil
}

// getToken shows one grant.
func (i *Issuer) getToken(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	jti := r.PathValue("jti")
	if wrong := wantJTI(jti); wrong != nil {
		return nil, wrong
	}
	l, err := i.listing.Inspect(r.Context(), jti)
	switch {
	case err == nil:
		return i.directory(i.names()).grant(l), nil
	case errors.Is(err, revocation.ErrRevoked):
		return listedGrant{JTI: jti, State: revokedState}, nil
	case errors.Is(err, revocation.ErrNotFound):
		return nil, &fault{code: "not_found", detail: "There is no grant with this jti: it has expired, was revoked some time ago, or is of another installation."}
	}
	return nil, storeAway(err)
}

// query says which grants to list.
type query struct {
	want  []revocation.Revocation // a grant is listed if each of these would end it
	limit int
	from  walkPlace
}

func (q query) matches(l revocation.Listed) bool {
	for _, r := range q.want {
		if !named(r, l) {
			return false
		}
	}
	return true
}

// readQuery takes every parameter once, and none that it does not know: a misspelt filter would list everything.
func (i *Issuer) readQuery(ctx context.Context, n names, raw string) (query, *fault) {
	q := query{limit: defaultLimit}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, wrongRequest("The query is not well-formed.")
	}
	for name, all := range values {
		if len(all) != 1 || all[0] == "" {
			return q, wrongRequest("%q must be given once, and not empty.", name)
		}
		value := all[0]
		var wrong *fault
		switch name {
		case "client", "family", "subject", "subject_handle":
			var r revocation.Revocation
			r, wrong = n.revocation(ctx, order{by: name, value: value})
			q.want = append(q.want, r)
		case "limit":
			if q.limit, err = strconv.Atoi(value); err != nil || q.limit < 1 || q.limit > maxLimit {
				wrong = wrongRequest("limit must be 1 to %d.", maxLimit)
			}
		case "cursor":
			var ok bool
			if q.from, ok = parseWalkPlace(value, i.listing.Shards()); !ok {
				wrong = wrongRequest("cursor must be what an earlier answer gave as next.")
			}
		default:
			wrong = wrongRequest("%q is not known here; give client, subject, subject_handle, family, limit or cursor.", name)
		}
		if wrong != nil {
			return q, wrong
		}
	}
	return q, nil
}
