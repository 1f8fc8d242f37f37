package gateway_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/gateway"
)

// The table holds plain texts: each is a JSON string and a quoted-string without escapes, and each name is there once.
func TestProblemTable(t *testing.T) {
	t.Parallel()
	plain := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`)
	names := map[string]bool{}
	for _, row := range gateway.ProblemRows() {
		if !regexp.MustCompile(`^[a-z_]+$`).MatchString(row.Name) || names[row.Name] {
			t.Errorf("name %q is not plain, or is there twice", row.Name)
		}
		names[row.Name] = true
		if !plain.MatchString(row.Title + row.Detail) {
			t.Errorf("%s: %q %q need escaping", row.Name, row.Title, row.Detail)
		}
		var d struct {
			Type, Title, Detail, Code string
			Status                    int
			RequestID                 string `json:"request_id"`
		}
		if err := json.Unmarshal(row.Document, &d); err != nil {
			t.Fatalf("%s: %s: %v", row.Name, row.Document, err)
		}
		if d.Type != "urn:coatcheck:problem:"+row.Name || d.Code != row.Name || d.Title != row.Title || d.Detail != row.Detail || d.Status != row.Status || d.RequestID != "id" {
			t.Errorf("%s: document %+v does not say what the row says", row.Name, d)
		}
		if text := http.StatusText(row.Status); text == "" && row.Name != "client_gone" {
			t.Errorf("%s: no such status as %d", row.Name, row.Status)
		}
		if row.Status == http.StatusServiceUnavailable && row.Name != "temporarily_unavailable" {
			t.Errorf("%s is a 503: that is for the edge's own inability alone", row.Name)
		}
	}
}

// What a refusal says never depends on what came in: a challenge or an error page cannot be made to reflect.
func TestProblemsReflectNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const mark = "reflectme"
	for _, a := range []answer{
		h.get("/"+mark, bearer(mark)),
		h.get("/orders/"+mark+"?"+mark+"="+mark, bearer(mark), "Host2: "+mark),
		h.get("/orders/1", "Authorization: "+mark+" "+mark),
		h.get("/orders/1", "Authorization: Bearer "+mark+" "+mark),
		h.get("/orders/%00" + mark),
		h.get("/orders/1?" + mark + ";"),
		h.get("/orders/1", "Via: 1.1 "+mark, "Upgrade: "+mark, "Connection: upgrade"),
		h.send(strings.ToUpper(mark), "/orders/1", ""),
		h.send("OPTIONS", "/orders/1", "", "Max-Forwards: "+mark),
	} {
		var text strings.Builder
		text.WriteString(a.body)
		_ = a.header.Write(&text)
		if a.status < 400 || strings.Contains(strings.ToLower(text.String()), mark) {
			t.Errorf("answer %d reflects the request:\n%s", a.status, &text)
		}
		if got := a.header.Get("Content-Type"); got != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("answer %d has Content-Type %q and Cache-Control %q", a.status, got, a.header.Get("Cache-Control"))
		}
	}
}
