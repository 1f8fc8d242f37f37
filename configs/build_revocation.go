package configs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// AdminToken is one operator, or one program of theirs.
type AdminToken struct {
	Name   string
	SHA256 [sha256.Size]byte // of the token, which was generated
	Scopes []string          // of tokens:read and tokens:revoke
}

func (b *builder) follower() revocation.FollowerConfig {
	return revocation.FollowerConfig{StreamGrace: time.Duration(b.file.Revocation.StreamGrace)}
}

func (b *builder) revoker() *revocation.RevokerConfig {
	r := b.file.Revocation
	return &revocation.RevokerConfig{
		Issuer:   cmp.Or(r.Name, b.issuers()[0]),
		Issuers:  slices.Clone(b.issuers()),
		Lease:    or(r.Lease, 0),
		Replicas: r.Replicas,
		Missing:  time.Duration(r.MissingAfter),
	}
}

// journal is the path of the issuer's journal; empty with a store in memory, whose journal is as volatile.
func (b *builder) journal() string {
	if b.file.Store.memory || b.file.Revocation.Journal == "" {
		return ""
	}
	path := b.doc.beside(b.file.Revocation.Journal)
	b.journalPlace(path)
	return path
}

// admin is where the admin API listens; nowhere when nobody may use it.
func (b *builder) admin() string {
	switch address := b.file.Listen.Admin; {
	case len(b.file.Admin.Tokens) == 0:
		return ""
	case isSocket(address):
		return b.doc.beside(address)
	default:
		return address
	}
}

func (b *builder) adminTokens() []AdminToken {
	var tokens []AdminToken
	for _, name := range slices.Sorted(maps.Keys(b.file.Admin.Tokens)) {
		t := b.file.Admin.Tokens[name]
		sum, ok := b.adminToken(name, t)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(tokens, func(o AdminToken) bool { return o.SHA256 == sum }); i >= 0 {
			b.doc.fault(b.doc.key("admin", "tokens", name), "admin.tokens.%s has the token of %s, so that the audit log could not tell them apart; make another with `%s`", word(name), word(tokens[i].Name), makeSecret)
		}
		tokens = append(tokens, AdminToken{Name: name, SHA256: sum, Scopes: t.Scopes})
	}
	return tokens
}

// adminToken: a short token was not generated, and SHA-256 does not protect what can be guessed.
func (b *builder) adminToken(name string, t AdminTokenSection) (sum [sha256.Size]byte, ok bool) {
	if at, ok := b.placed("admin", "tokens", name, "token_hash"); ok {
		digits, ours := strings.CutPrefix(t.TokenHash, "sha256:")
		raw, err := hex.DecodeString(digits)
		if !ours || err != nil || len(raw) != sha256.Size {
			b.doc.fault(at.node, "%s: is not sha256: and 64 hex digits; make it with `printf %%s \"$TOKEN\" | sha256sum`", at.label)
			return sum, false
		}
		b.oneUse([sha256.Size]byte(raw), at, "operator", "the token of operator "+word(name))
		return [sha256.Size]byte(raw), true
	}
	text, at, ok := b.secretAt(t.Token, t.TokenFile, "token", makeSecret, "admin", "tokens", name)
	switch {
	case !ok:
		return sum, false
	case !adminSecret.MatchString(text):
		b.doc.fault(at.node, "%s: is not 32 to 256 letters and digits: generate it with `%s`", at.label, makeSecret)
		return sum, false
	}
	sum = sha256.Sum256([]byte(text))
	b.oneUse(sum, at, "operator", "the token of operator "+word(name))
	return sum, true
}
