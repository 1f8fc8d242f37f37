package gateway

import (
	"errors"
	"net/http"
	"slices"

	"github.com/coatcheck/coatcheck/routes"
)

// admit takes a request as it came in and leaves one without anything that a handler or an upstream could mistake
// for ours: steps 1 to 4 of the order. Each step relies on the one before it.
func (e *Edge) admit(v *visit, r *http.Request) *refusal {
	if no := e.refuseEarly(r); no != nil {
		return no
	}
	var err error
	if v.target, err = freeze(r); err != nil {
		return e.refuseTarget(v.target, err)
	}
	v.target.apply(r.URL)
	if err := scrub(r.Header); err != nil {
		return refuseHeader(err)
	}
	scrubTrailers(r)
	v.presented = takeAuthorization(r.Header)
	if v.lastHop, err = spendForward(r.Method, r.Header); err != nil {
		return &refusal{code: codeMaxForwards, err: err}
	}
	return nil
}

// readmit is steps 5 and 6: foreign handlers have run. They may have added headers of their own, no others.
func (e *Edge) readmit(v *visit, r *http.Request) *refusal {
	if !v.target.holds(r) {
		return &refusal{code: codeHandler}
	}
	if err := scrub(r.Header); err != nil {
		return &refusal{code: codeInternal, err: err} // the client's header was well-formed; a handler's is not
	}
	return nil
}

// refuseEarly refuses what no later step should have to think about.
func (e *Edge) refuseEarly(r *http.Request) *refusal {
	if r.ContentLength > e.maxBody {
		return &refusal{code: codeBodyTooLarge} // without the first byte of it; chunked bodies are counted as they come
	}
	if visited(r.Header, e.pseudonym) {
		return &refusal{code: codeLoop}
	}
	return nil
}

// refuseTarget: a method that is never forwarded (TRACE, CONNECT, lower case) is a 405 where there is something to
// ask for by another, so a 404 elsewhere.
func (e *Edge) refuseTarget(t target, err error) *refusal {
	no := &refusal{err: err}
	switch {
	case errors.Is(err, errMethod):
		no.code, no.allow = codeMethod, e.methods(t)
		if len(no.allow) == 0 {
			no.code = codeNoRoute
		}
	case errors.Is(err, errHost):
		no.code = codeHost
	case errors.Is(err, errQueryToken):
		no.code = codeQueryToken
	case errors.Is(err, errQuery):
		no.code = codeQuery
	default:
		no.code = codeTarget
	}
	return no
}

// methods lists what may be asked of t's host and path, for Allow. A rule for any method has none of its own to list,
// so the usual ones stand for it.
func (e *Edge) methods(t target) []string {
	own := e.table.Allow(t.host, t.path)
	if _, result := e.table.Match(t.method, t.host, t.path); result == routes.Found && !slices.Contains(own, t.method) {
		return []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
	}
	return own
}

func refuseHeader(err error) *refusal {
	if errors.Is(err, errHeaderSize) {
		return &refusal{code: codeHeaderSize, err: err}
	}
	return &refusal{code: codeHeader, err: err}
}
