package issuer

import (
	"context"
	"net/http"

	"github.com/coatcheck/coatcheck/revocation"
)

// Listing is what administration needs of the store; each method is that of store.Redis. It is an interface because the
// issuer does not import the store, and every method is bounded by ctx and safe for concurrent use.
type Listing interface {
	Shards() int
	// List reads about limit records of a shard in no order; a cursor of 0 begins and ends. A record may come twice.
	List(ctx context.Context, shard int, cursor uint64, limit int) (found []revocation.Listed, next uint64, err error)
	// Inspect reads one; revocation.ErrNotFound, revocation.ErrRevoked, or any other error (cannot tell).
	Inspect(ctx context.Context, jti string) (revocation.Listed, error)
	// Seen lists the edges that told of themselves in the last minute.
	Seen(ctx context.Context) ([]revocation.Seen, error)
}

// Operations are the handlers of the admin API, by method and path; the door gives them to the admin listener, which
// knows who asks and what he may. Bodies and queries are read strictly, for a misspelt dry_run would revoke.
//
//	POST /v1/revocations     revoke, or with dry_run count what would be
//	GET  /v1/tokens          list live grants, by client, subject or family
//	GET  /v1/tokens/{jti}    one grant
//	GET  /v1/edges           which edges were seen, and how far
//
//	POST, GET /v1/clients                      add a client, list them
//	GET, DELETE /v1/clients/{id}               show one, take it away
//	POST /v1/clients/{id}/rotate               give it another secret; and /enable, /disable
//
// Errors are problem documents (RFC 9457) that say what is wrong and how to mend it.
func (i *Issuer) Operations() []Operation {
	return append([]Operation{
		{"POST", "/v1/revocations", "tokens:revoke", operation(i.postRevocation)},
		{"GET", "/v1/tokens", "tokens:read", operation(i.getTokens)},
		{"GET", "/v1/tokens/{jti}", "tokens:read", operation(i.getToken)},
		{"GET", "/v1/edges", "tokens:read", operation(i.getEdges)},
	}, i.clientOperations()...)
}

// Operation is one handler of the admin API.
type Operation struct {
	Method, Path string
	Scope        string // what the caller's token must allow
	Handle       http.Handler
}

// operation answers a request with JSON: what it returns, or what is wrong.
type operation func(w http.ResponseWriter, r *http.Request) (answer any, wrong *fault)

func (o operation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, wrong := o(w, r)
	if wrong != nil {
		wrong.write(w, requestID(r))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// requestID is the id that the admin listener has given the request; a caller cannot choose it.
func requestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }
