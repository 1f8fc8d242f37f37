package issuer

import "net/http"

// Operations are the handlers of the admin API, by method and path; the door gives them to the admin listener.
//
//	POST /v1/revocations     revoke, or with dry_run count what would be
//	GET  /v1/tokens          list live grants, by client, subject or family
//	GET  /v1/tokens/{jti}    one grant
//	GET  /v1/edges           which edges were seen, and how far
func (i *Issuer) Operations() []Operation { panic("contract") }

// Operation is one handler of the admin API.
type Operation struct {
	Method, Path string
	Changes      bool // it revokes; else it only reads
	Handle       http.Handler
}
