package exchange

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"
	"unsafe"

	"github.com/coatcheck/coatcheck/revocation"
)

// Grant is what a reference stands for, as its verified manifest says. It is immutable, shared by all requests that
// carry the reference, and kept small: a cache holds a hundred thousand of them.
type Grant struct {
	jti     string // shares its memory with the Authorization values
	client  unique.Handle[string]
	keyID   unique.Handle[string] // that signed the manifest
	expires int64                 // Unix seconds
	shares  []Share
	sealed  [sha256.Size]byte // hash of the blob that it was read from
	origin  *string           // nil unless Config.Origins: so it fits into what a Grant occupies anyway
	weight  uint32            // bytes that a cache spends on it
	shard   int32
	names   revocation.Names // what the revocation log may call it
}

// Share is one audience's part: its scopes and its JWT.
type Share struct {
	audience      unique.Handle[string]
	scope         unique.Handle[string] // space separated
	authorization secret                // "Bearer <jwt>"
}

const bearer = "Bearer "

// newGrant packs a verified manifest and its tokens. What is one grant's own goes into one string; what many grants
// share (client, key, audience, scopes) is kept once for all of them. Such names come only from signed manifests, so there
// are no more of them than the issuer has configured.
func newGrant(m manifestClaims, tokens map[string]Token, sealed [sha256.Size]byte) *Grant {
	var text strings.Builder
	size := len(m.JTI)
	for _, t := range tokens {
		size += len(bearer) + t.text.size
	}
	text.Grow(size)
	text.WriteString(m.JTI)
	audiences := slices.Sorted(maps.Keys(tokens))
	for _, a := range audiences {
		text.WriteString(bearer)
		text.WriteString(tokens[a].Reveal())
	}

	g := &Grant{
		client: unique.Make(m.ClientID), keyID: unique.Make(m.keyID),
		expires: m.Expires, sealed: sealed, shares: make([]Share, len(audiences)),
	}
	g.weight = entryCost + uint32(size) + uint32(len(audiences))*uint32(unsafe.Sizeof(Share{}))
	rest := text.String()
	cut := func(n int) (part string) {
		part, rest = rest[:n], rest[n:]
		return part
	}
	g.jti = cut(len(m.JTI))
	for i, a := range audiences {
		g.shares[i] = Share{
			audience:      unique.Make(a),
			scope:         unique.Make(m.Shares[a].Scope),
			authorization: hide(cut(len(bearer) + tokens[a].text.size)),
		}
	}
	return g
}

// JTI is the log-safe id of the grant.
func (g *Grant) JTI() string { return g.jti }

// Origin is what the issuer has sealed about the grant for itself; empty where there is nothing, and at edges, which do not
// keep what they cannot open.
func (g *Grant) Origin() string {
	if g.origin == nil {
		return ""
	}
	return *g.origin
}

// ClientID is the client that the grant was issued to.
func (g *Grant) ClientID() string { return g.client.Value() }

// ExpiresAt is when the grant ends; it is whole seconds.
func (g *Grant) ExpiresAt() time.Time { return time.Unix(g.expires, 0) }

func (g *Grant) expired(now time.Time) bool { return now.Unix() >= g.expires }

// Share is the grant's part for one audience; false: the grant lacks it.
func (g *Grant) Share(audience string) (*Share, bool) {
	for i := range g.shares { // one to a handful
		if g.shares[i].audience.Value() == audience {
			return &g.shares[i], true
		}
	}
	return nil, false
}

// Format writes "[grant <jti>]" for every verb.
func (g *Grant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[grant "+g.jti+"]") }

// Allows reports whether every one of scopes is in the share. Allocates nothing.
func (s *Share) Allows(scopes []string) bool {
	for _, scope := range scopes {
		if !hasWord(s.scope.Value(), scope) {
			return false
		}
	}
	return true
}

func hasWord(words, word string) bool {
	for words != "" {
		var next string
		next, words, _ = strings.Cut(words, " ")
		if next == word && word != "" {
			return true
		}
	}
	return false
}

// Scope is the scope of the share, space separated.
func (s *Share) Scope() string { return s.scope.Value() }

// Authorization is the header value for the upstream ("Bearer <jwt>"): the one way out.
func (s *Share) Authorization() string { return s.authorization.reveal() }

// Format writes "[share of <audience>]" for every verb.
func (s *Share) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "[share of "+s.audience.Value()+"]")
}
