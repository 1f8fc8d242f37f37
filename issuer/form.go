package issuer

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// Bounds of a form. They are far above what any grant needs and far below what costs anything.
const (
	maxForm       = 16 << 10 // bytes of the body
	maxParameters = 32
	maxName       = 64      // bytes of a parameter's name
	maxValue      = 4 << 10 // bytes of a parameter's value
	maxTokenValue = 8 << 10 // bytes of one that is a token of another issuer's making
)

// longest is how long the value of a parameter may be.
func longest(name string) int {
	switch name {
	case "subject_token", "actor_token", "assertion":
		return maxTokenValue
	}
	return maxValue
}

// form is a decoded body. Parameters without a value are not in it (RFC 6749 §3.2: treated as omitted).
type form map[string][]string

// readForm reads the body, and only the body: nothing of the query string is ever looked at.
func readForm(w http.ResponseWriter, r *http.Request) (form, *refusal) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, refuse(mediaType, "the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, refuse(bodyTooLarge, "the body is over 16 KiB")
	}
	if err != nil {
		return nil, refuse(invalidRequest, "the body could not be read to its end")
	}
	return parseForm(string(body))
}

// parseForm decodes a body within the bounds. A parameter sent twice is refused (RFC 6749 §3.2), also an unknown or
// an empty one, since two readers could disagree about which counts; audience and resource may repeat (RFC 8693
// §2.1, RFC 8707 §2).
func parseForm(body string) (form, *refusal) {
	if strings.Count(body, "&") >= maxParameters {
		return nil, refuse(invalidRequest, "more than 32 parameters")
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, refuse(invalidRequest, "the body is not well-formed")
	}
	f := make(form, len(values))
	for name, all := range values {
		if len(name) > maxName {
			return nil, refuse(invalidRequest, "a parameter name is longer than 64 bytes")
		}
		if len(all) > 1 && name != "audience" && name != "resource" {
			return nil, &refusal{outcome: invalidRequest, why: "a parameter is repeated", about: name}
		}
		for _, v := range all {
			if len(v) > longest(name) {
				return nil, &refusal{outcome: invalidRequest, why: "a parameter is too long", about: name}
			}
			if v != "" {
				f[name] = append(f[name], v)
			}
		}
	}
	return f, nil
}

// one is the value of a parameter that occurs at most once; empty when it was omitted.
func (f form) one(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
