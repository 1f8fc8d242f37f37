package issuer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/issuer/trust"
)

// The ways in which a client can say who it is; the metadata lists these and no others.
const (
	secretBasic = "client_secret_basic"
	secretPost  = "client_secret_post"
	signedJWT   = "private_key_jwt"
)

// credentials are what a request said about who sends it.
type credentials struct {
	id      string
	secret  hidden[string] // nil: none was sent
	literal hidden[string] // Basic only: the secret before it was form-urldecoded
	// assertion is a JWT that the client has signed; nil: none was sent. id is whom it names, and nothing is verified yet.
	assertion hidden[string]
}

// newCredentials: an empty secret is none (RFC 6749 §3.2).
func newCredentials(id, secret string) credentials {
	if secret == "" {
		return credentials{id: id}
	}
	return credentials{id: id, secret: hide(secret)}
}

// readCredentials finds the one way in which the client authenticates (RFC 6749 §2.3: not more than one). A
// client_id in the body beside Basic is no second way, as long as both name the same client.
func readCredentials(h http.Header, f form) (credentials, *refusal) {
	fields := h.Values("Authorization")
	posted := f.one("client_secret") != ""
	asserted := f.one("client_assertion") != "" || f.one("client_assertion_type") != ""
	if len(fields) > 1 || (len(fields) == 1 && (posted || asserted)) || (posted && asserted) {
		return credentials{}, refuse(invalidRequest, "more than one way of client authentication")
	}
	switch {
	case asserted:
		return readAsserted(f)
	case len(fields) == 0:
		return newCredentials(f.one("client_id"), f.one("client_secret")), nil
	}
	c, err := parseBasic(fields[0])
	if err != nil {
		return credentials{}, stranger(err.Error())
	}
	if id := f.one("client_id"); id != "" && id != c.id {
		return credentials{}, refuse(invalidRequest, "client_id differs from the one in the Authorization header")
	}
	return c, nil
}

// readAsserted reads a client assertion (RFC 7521 §4.2). A client_id beside it must name the same client.
func readAsserted(f form) (credentials, *refusal) {
	raw := f.one("client_assertion")
	if f.one("client_assertion_type") != assertionType {
		return credentials{}, stranger("client_assertion_type is not " + assertionType)
	}
	c := credentials{id: trust.Say(raw).Issuer, assertion: hide(raw)}
	if id := f.one("client_id"); id != "" && id != c.id {
		return credentials{}, refuse(invalidRequest, "client_id differs from the one in client_assertion")
	}
	return c, nil
}

// parseBasic reads a Basic credential whose id and secret are form-urlencoded before they are joined (RFC 6749
// §2.3.1), so that either may hold any character, a colon included.
func parseBasic(field string) (credentials, error) {
	scheme, encoded, ok := strings.Cut(field, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return credentials{}, errors.New("the Authorization field is not Basic")
	}
	joined, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return credentials{}, errors.New("the Basic credentials are not base64")
	}
	id, literal, ok := strings.Cut(string(joined), ":")
	if !ok {
		return credentials{}, errors.New("the Basic credentials have no colon")
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(literal)
	if err1 != nil || err2 != nil {
		return credentials{}, errors.New("the Basic credentials have a % that begins no escape: " + encodeFirst)
	}
	c := newCredentials(id, secret)
	c.literal = hide(literal)
	return c, nil
}

const (
	// wrongCredentials is one text for every failure: unknown id, wrong secret, malformed or missing credentials.
	wrongCredentials = "client authentication failed"

	// encodeFirst is the mend for a client that joins id and secret as they are.
	encodeFirst = "the client must form-urlencode id and secret before base64 (RFC 6749 §2.3.1)"
)

// stranger is the refusal of who has not authenticated. Only the log learns the cause, which is a text of ours.
func stranger(cause string) *refusal {
	return &refusal{outcome: invalidClient, why: wrongCredentials, detail: errors.New(cause)}
}

// authenticator knows the clients' secrets.
type authenticator struct {
	clients    *clients.Register
	assertions assertions
	decoys     []clients.SecretHash // every configured hash, in the order of the client ids; never empty
	seed       hidden[[]byte]       // the same at all issuers, so that they choose alike
	slow       *slowGate
}

func newAuthenticator(known *clients.Register, signed assertions, keys *sealing.Keys) *authenticator {
	a := &authenticator{
		clients:    known,
		assertions: signed,
		seed:       hide(keys.Derive("coatcheck/v1/decoys", sha256.Size)[0]),
		slow:       newSlowGate(),
	}
	for c := range known.All() {
		if !c.Secret.IsZero() {
			a.decoys = append(a.decoys, c.Secret)
		}
	}
	if len(a.decoys) == 0 || known.Changes() { // those that are added have generated secrets
		a.decoys = append(a.decoys, clients.Impossible())
	}
	return a
}

// authenticate finds the client that presented these credentials. A public client passes with its id alone and is
// held back later by what it may do. For an id that is unknown the same work is done as for a known one with a
// wrong secret, and the same is answered; for an assertion that is nothing, as for a known one by an unknown key.
func (a *authenticator) authenticate(ctx context.Context, c credentials, from netip.Addr) (*clients.Known, *refusal) {
	known := a.clients.Lookup(c.id)
	if err := a.clients.Sure(); known == nil && err != nil {
		return nil, unavailableNow("which clients there are is not known now", err) // a 401 could be wrong
	}
	switch {
	case c.assertion != nil:
		return a.assert(ctx, known, c.assertion())
	case c.secret == nil && known != nil && known.Public:
		return known, nil
	case c.secret == nil:
		return nil, stranger("no secret was sent")
	}
	hash, own := a.hashFor(c.id)
	var matched bool
	if hash.Slow() {
		var no *refusal
		if matched, no = a.slow.compare(ctx, from, c.id, hash, own, c.secret); no != nil {
			return nil, no
		}
	} else {
		matched = hash.Matches(c.secret)
	}
	// Only where it costs nothing: a second argon2id would make guessing twice as dear for us.
	literally := !matched && !hash.Slow() && hash.Matches(c.literal)
	switch {
	case known == nil:
		return nil, stranger("unknown client")
	case known.Secret.IsZero():
		return nil, stranger("the client has no secret")
	case literally:
		return nil, stranger("right secret, not encoded: " + encodeFirst)
	case !matched:
		return nil, stranger("wrong secret")
	}
	return known, nil
}

// offers are the ways in which a client can prove who it is, for the metadata, and what it can sign with.
func (a *authenticator) offers() (methods, algorithms []string) {
	methods = []string{secretBasic, secretPost}
	if a.assertions.names == nil {
		return methods, nil
	}
	return append(methods, signedJWT), clients.KeyAlgorithms()
}

// assert finds the client that an assertion names, and checks it.
func (a *authenticator) assert(ctx context.Context, known *clients.Known, raw string) (*clients.Known, *refusal) {
	switch {
	case a.assertions.names == nil:
		return nil, stranger("client_assertion is not offered")
	case known == nil:
		return nil, stranger("unknown client")
	case known.Keys == nil:
		return nil, stranger("the client has no keys")
	}
	if no := a.assertions.check(ctx, known, raw); no != nil {
		return nil, no
	}
	return known, nil
}

// hashFor is the hash to compare with: the client's own, or for anybody else a configured one, always the same for the same
// id, at every issuer. Where some clients have slow hashes and some fast ones, an unknown id thus looks like one or the
// other, and how long a refusal takes says nothing about whether the id exists.
func (a *authenticator) hashFor(id string) (h clients.SecretHash, own bool) {
	if c := a.clients.Lookup(id); c != nil && !c.Secret.IsZero() {
		return c.Secret, true
	}
	mac := hmac.New(sha256.New, a.seed())
	mac.Write([]byte(id))
	return a.decoys[binary.BigEndian.Uint64(mac.Sum(nil))%uint64(len(a.decoys))], false
}
