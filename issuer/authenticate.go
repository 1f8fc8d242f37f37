package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"hash/maphash"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// The ways in which a client can say who it is; the metadata lists these and no others.
const (
	secretBasic = "client_secret_basic"
	secretPost  = "client_secret_post"
)

// slowWait bounds how long a request waits for its turn at an argon2id comparison.
const slowWait = 2 * time.Second

// credentials are what a request said about who sends it.
type credentials struct {
	id      string
	secret  hidden[string] // nil: none was sent
	literal hidden[string] // Basic only: the secret before it was form-urldecoded
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
		return credentials{}, stranger("client_assertion is not offered")
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
	clients *clients.Register
	decoys  []clients.SecretHash // every configured hash, in the order of the client ids; never empty
	seed    maphash.Seed
	slow    chan struct{} // one place per argon2id comparison that may run at a time
}

func newAuthenticator(known *clients.Register) *authenticator {
	a := &authenticator{
		clients: known,
		seed:    maphash.MakeSeed(),
		// Half of the cores: minting goes on while somebody tries passwords.
		slow: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
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
// wrong secret, and the same is answered.
func (a *authenticator) authenticate(ctx context.Context, c credentials) (*clients.Known, *refusal) {
	known := a.clients.Lookup(c.id)
	if err := a.clients.Sure(); known == nil && err != nil {
		return nil, unavailableNow("which clients there are is not known now", err) // a 401 could be wrong
	}
	if c.secret == nil {
		if known != nil && known.Secret.IsZero() {
			return known, nil
		}
		return nil, stranger("no secret was sent")
	}
	hash := a.hashFor(c.id)
	matched, err := a.compare(ctx, hash, c.secret)
	if err != nil {
		return nil, unavailableNow("too many clients authenticate at the same time", err)
	}
	// Only where it costs nothing: a second argon2id would make guessing twice as dear for us.
	literally := !matched && !hash.Slow() && hash.Matches(c.literal)
	switch {
	case known == nil:
		return nil, stranger("unknown client")
	case known.Secret.IsZero():
		return nil, stranger("the client is public and has no secret")
	case literally:
		return nil, stranger("right secret, not encoded: " + encodeFirst)
	case !matched:
		return nil, stranger("wrong secret")
	}
	return known, nil
}

// hashFor is the hash to compare with: the client's own, or for anybody else a configured one, always the same for
// the same id. Where some clients have slow hashes and some fast ones, an unknown id thus looks like one or the
// other, and how long a refusal takes says nothing about whether the id exists.
func (a *authenticator) hashFor(id string) clients.SecretHash {
	if c := a.clients.Lookup(id); c != nil && !c.Secret.IsZero() {
		return c.Secret
	}
	return a.decoys[maphash.String(a.seed, id)%uint64(len(a.decoys))]
}

// compare waits for its turn when the hash is a slow one.
func (a *authenticator) compare(ctx context.Context, h clients.SecretHash, secret hidden[string]) (bool, error) {
	if !h.Slow() {
		return h.Matches(secret), nil
	}
	turn := time.NewTimer(slowWait)
	defer turn.Stop()
	select {
	case a.slow <- struct{}{}:
		defer func() { <-a.slow }()
		return h.Matches(secret), nil
	case <-turn.C:
		return false, errors.New("no turn at argon2id within 2s")
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
