package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// seen is one call from all sides: what the client sent, what the edge decided, what the service says it got.
type seen struct {
	Sent    sent            `json:"sent"`
	Decided decided         `json:"decided"`
	Answer  json.RawMessage `json:"answer,omitempty"` // when the body is JSON
	body    []byte
}

type sent struct {
	Client        string `json:"client"`
	Method        string `json:"method"`
	URL           string `json:"url"`
	Authorization string `json:"authorization"` // masked
}

type decided struct {
	Status    int    `json:"status"`
	Error     string `json:"gateway_error,omitempty"`
	Decision  string `json:"decision,omitempty"` // only coatcheck dev tells
	Challenge string `json:"challenge,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// masked shortens a reference to what tells it from others without being usable.
func masked(reference string) string {
	const shown = 8
	if len(reference) < 4*shown {
		return "…"
	}
	return fmt.Sprintf("%s…(%d characters)", reference[:shown], len(reference))
}

// plain is the answer, as curl -i would put it.
func (s *seen) plain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", s.Decided.Status, http.StatusText(s.Decided.Status))
	row(&b, "", "request id", s.Decided.RequestID)
	row(&b, "", "refused", s.Decided.Error)
	fmt.Fprintf(&b, "\n%s\n", s.body)
	return b.String()
}

// screen is --show-swap.
func (s *seen) screen() string {
	const indent = "   "
	var b strings.Builder
	b.WriteString("1  The client sent\n")
	row(&b, indent, "client", s.Sent.Client)
	row(&b, indent, "request", s.Sent.Method+" "+s.Sent.URL)
	row(&b, indent, "credential", s.Sent.Authorization)
	b.WriteString("\n2  The edge decided\n")
	row(&b, indent, "status", fmt.Sprintf("%d %s", s.Decided.Status, http.StatusText(s.Decided.Status)))
	row(&b, indent, "refused", s.Decided.Error)
	row(&b, indent, "challenge", s.Decided.Challenge)
	row(&b, indent, "decision", s.Decided.Decision)
	row(&b, indent, "request id", s.Decided.RequestID)
	s.service(&b, indent)
	return b.String()
}

// afterForwarding are the edge's own answers that it may give after the service has seen the request, or part of it.
var afterForwarding = []string{"upstream_error", "upstream_timeout", "request_timeout", "body_too_large", "invalid_body"}

// service tells what reached the service. A demo service says so itself; of any other only its answer is known.
func (s *seen) service(b *strings.Builder, indent string) {
	var demo demoAnswer
	switch {
	case slices.Contains(afterForwarding, s.Decided.Error):
		fmt.Fprintf(b, "\n3  The service may have got the request; it gave no answer. The client read\n%s%s\n", indent, s.body)
	case s.Decided.Error != "":
		fmt.Fprintf(b, "\n3  The service got nothing. The client read\n%s%s\n", indent, s.body)
	case json.Unmarshal(s.body, &demo) == nil && demo.JTI != "":
		fmt.Fprintf(b, "\n3  The service %q got a JWT instead\n", demo.Service)
		row(b, indent, "aud", demo.Audience)
		row(b, indent, "scope", demo.Scope)
		row(b, indent, "jti", demo.JTI)
		row(b, indent, "path", demo.Path)
		for _, name := range slices.Sorted(maps.Keys(demo.Claims)) {
			if !slices.Contains([]string{"aud", "scope", "jti"}, name) {
				row(b, indent, name, claimText(demo.Claims[name]))
			}
		}
	default:
		fmt.Fprintf(b, "\n3  The service answered\n%s%s\n", indent, s.body)
	}
}

func claimText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.0f", v)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return string(text)
	}
}

// row prints a name and a value; nothing for an empty value.
func row(b *strings.Builder, indent, name, value string) {
	if value != "" {
		fmt.Fprintf(b, "%s%-11s %s\n", indent, name, value)
	}
}
