package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

// code is why the edge answers in an upstream's place. The names are stable: clients, dashboards and alerts use them.
type code uint8

const (
	codeInternal code = iota
	codeTarget
	codeHost
	codeQuery
	codeQueryToken
	codeHeader
	codeHeaderSize
	codeMaxForwards
	codeBodyTooLarge
	codeClientSlow
	codeBody
	codeLoop
	codeHandler
	codeNoRoute
	codeMethod
	codeAuthorization
	codeNoCredentials
	codeInvalidToken
	codeScope
	codeClientRate
	codeBadReferences
	codeUndecided
	codeUpstream
	codeUpstreamTimeout
	codeUpstreamCut
	codeClientGone
)

// problem is what a client is told. Every text is constant: nothing that came in with the request goes out again,
// and two requests refused for the same code get the same bytes but for the request id.
type problem struct {
	name   string // the member `code`, and the Gateway-Error header
	status int
	title  string
	detail string // names the mend
	bearer bearerError
	retry  string // Retry-After, seconds; empty: none
}

// problems is the one table of everything the edge answers by itself; nothing else in this package knows a status.
var problems = [...]problem{
	codeInternal:        {"internal_error", 500, "Internal error", "The gateway has failed; its log has the request id.", noChallenge, ""},
	codeTarget:          {"invalid_target", 400, "Ambiguous request target", "Send the path in one unambiguous form: no empty or dot segments, encoded slashes, backslashes, controls or fragments.", noChallenge, ""},
	codeHost:            {"invalid_host", 400, "Invalid host", "Send exactly one well-formed Host.", noChallenge, ""},
	codeQuery:           {"invalid_query", 400, "Invalid query", "Send a well-formed query: separate with '&', percent-encode what is not a query character.", noChallenge, ""},
	codeQueryToken:      {"credentials_in_query", 400, "Credentials in the query", "Send the reference in the Authorization header; what is in a URL ends in logs.", invalidRequest, ""},
	codeHeader:          {"invalid_header", 400, "Invalid header", "Send well-formed header fields, and each that must be single only once.", noChallenge, ""},
	codeHeaderSize:      {"too_many_headers", 431, "Too many header fields", "Send fewer header fields.", noChallenge, ""},
	codeMaxForwards:     {"invalid_max_forwards", 400, "Invalid Max-Forwards", "Send Max-Forwards as one decimal number.", noChallenge, ""},
	codeBodyTooLarge:    {"body_too_large", 413, "Body too large", "Send a smaller body.", noChallenge, ""},
	codeClientSlow:      {"request_timeout", 408, "Request took too long to arrive", "Send the body without long pauses.", noChallenge, ""},
	codeBody:            {"invalid_body", 400, "Invalid body", "Send the whole body, framed as the header says.", noChallenge, ""},
	codeLoop:            {"loop_detected", 508, "Loop detected", "An upstream of this gateway leads back to it.", noChallenge, ""},
	codeHandler:         {"handler_changed_target", 500, "Internal error", "A handler of this gateway has changed method, host or path; its log has the request id.", noChallenge, ""},
	codeNoRoute:         {"no_route", 404, "No such route", "No route is configured for this host and path.", noChallenge, ""},
	codeMethod:          {"method_not_allowed", 405, "Method not allowed", "Use one of the methods in Allow.", noChallenge, ""},
	codeAuthorization:   {"invalid_authorization", 400, "Invalid Authorization", "Send exactly one Authorization header of the form: Bearer, one or more spaces, the reference.", invalidRequest, ""},
	codeNoCredentials:   {"credentials_required", 401, "Credentials required", "Send Authorization: Bearer and a reference.", bareChallenge, ""},
	codeInvalidToken:    {"invalid_token", 401, "Invalid reference", "The reference is not active; get a new one.", invalidToken, ""},
	codeScope:           {"insufficient_scope", 403, "Insufficient scope", "The reference does not reach this route; get one with the scope that the challenge names.", insufficientScope, ""},
	codeClientRate:      {"rate_limited", 429, "Too many requests", "This client is over its rate; slow down.", noChallenge, "1"},
	codeBadReferences:   {"too_many_bad_references", 429, "Too many invalid references", "Stop presenting references that this gateway has not issued.", noChallenge, "1"},
	codeUndecided:       {"temporarily_unavailable", 503, "Temporarily unavailable", "The gateway cannot check references now. Keep yours and try again.", noChallenge, "1"},
	codeUpstream:        {"upstream_error", 502, "Bad gateway", "The service behind this route cannot be reached or does not answer properly.", noChallenge, ""},
	codeUpstreamTimeout: {"upstream_timeout", 504, "Gateway timeout", "The service behind this route has not answered in time.", noChallenge, ""},
	// The last two are never sent, for there is nobody to read them: they exist for logs and metrics.
	codeUpstreamCut: {"upstream_cut", 502, "Answer cut off", "", noChallenge, ""},
	codeClientGone:  {"client_gone", 499, "Client has gone", "", noChallenge, ""},
}

func (c code) problem() *problem { return &problems[c] }

// refusal is one request's answer by the edge itself. What the client reads is in the code's row of problems;
// reason and err are for the log alone.
type refusal struct {
	code   code
	reason string   // finer than the code; empty: the code's name
	err    error    // never holds a secret
	allow  []string // codeMethod: for Allow
	scopes []string // codeScope: for the challenge
}

func (no *refusal) why() string {
	if no.reason != "" {
		return no.reason
	}
	return no.code.problem().name
}

// refuse answers with a problem document (RFC 9457) and remembers why.
func (v *visit) refuse(w http.ResponseWriter, no *refusal) {
	v.refused = no
	p := no.code.problem()
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Gateway-Error", p.name)
	if no.code == codeMethod {
		h.Set("Allow", strings.Join(no.allow, ", ")) // RFC 9110 §15.5.6 wants it even when it is empty
	}
	if c := challenge(p.bearer, v.edge.realm, p.detail, no.scopes); c != "" {
		h.Set("WWW-Authenticate", c)
	}
	if p.retry != "" {
		h.Set("Retry-After", p.retry)
	}
	v.closes = v.closes || no.code == codeClientSlow // the rest of the body is still to come, and nobody will read it
	v.sign(h)
	w.WriteHeader(p.status)
	_, _ = w.Write(p.document(v.id)) // a client that has gone is seen by answer
}

// document is the body. It needs no escaping: the table's texts are plain (a test holds that), and so are ids.
func (p *problem) document(id string) []byte {
	return fmt.Appendf(nil, `{"type":"urn:coatcheck:problem:%s","title":"%s","status":%d,"detail":"%s","code":"%s","request_id":"%s"}`+"\n",
		p.name, p.title, p.status, p.detail, p.name, id)
}
