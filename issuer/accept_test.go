package issuer

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestJ6_AcceptDecides(t *testing.T) {
	t.Parallel()
	const none = representation("")
	rows := map[string]representation{
		"":                                  asJSON,
		" , ":                               asJSON,
		"*/*":                               asJSON,
		"application/*":                     asJSON,
		"application/json":                  asJSON,
		"Application/JSON; charset=utf-8":   asJSON,
		"application/jwt":                   asBare,
		"application/jwt, */*":              asBare, // named more closely
		"*/*;q=0.9, application/jwt;q=0.8":  asJSON,
		"application/json, application/jwt": asJSON, // liked alike: the order is ours
		"application/jwt, application/json": asJSON,
		"application/json;q=0.5, Application/Jwt;Q=0.6":        asBare,
		"application/token-introspection+jwt":                  asSigned,
		"application/token-introspection+jwt, application/jwt": asSigned,
		"*/*, application/json;q=0":                            asSigned,
		"application/*;q=0, application/jwt":                   asBare,
		"text/html, application/xhtml+xml, */*;q=0.8":          asJSON,
		`text/plain;a="application/jwt, x", application/json`:  asJSON,
		`application/jwt;a="\",;q=0"`:                          asBare,
		"application/jwt;q=0.001":                              asBare,
		"application/jwt;q=1.000":                              asBare,
		"application/jwt;":                                     asBare,
		"application/jwt;q=0.5;ext=1":                          asBare,

		"text/html":                          none,
		"application/jwt;q=0":                none,
		"application/jwt;q=0.000":            none,
		"application/jwt;q=1.001":            none, // malformed asks for nothing
		"application/jwt;q=0.0001":           none,
		"application/jwt;q=":                 none,
		"application/jwt;q=-1":               none,
		"application/jwt;q=.5":               none,
		"application/jwt; a b":               none,
		"application/jwt x":                  none,
		"*/json":                             none,
		"application":                        none,
		"application/jwt/x":                  none,
		`"application/jwt"`:                  none,
		`text/plain;a="b, application/jwt`:   none, // a quote without end
		"application/x+jwt, application/jws": none,
	}
	for accept, want := range rows {
		got, no := negotiate(http.Header{"Accept": {accept}})
		switch {
		case got != want:
			t.Errorf("Accept: %s: got %q, want %q", accept, got, want)
		case (no != nil) != (want == none) || no != nil && no.outcome != notAcceptable:
			t.Errorf("Accept: %s: refused %v", accept, no)
		}
	}
	if got, _ := negotiate(http.Header{"Accept": {"application/json;q=0.1", "application/jwt"}}); got != asBare {
		t.Errorf("two fields: got %q, want %q: they are one list", got, asBare)
	}

	// Every answer says what it depended on, and none may be kept: no cache gives one caller what another was told.
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	for _, accept := range []string{"", "*/*", string(asSigned), string(asBare), "text/html", strings.Repeat("a/b,", 300)} {
		for _, token := range []string{live, "x", ""} {
			for _, client := range []string{"orders", "billing", "nobody"} {
				w := k.ask(t, client, token, accept)
				vary, keep := w.Header().Get("Vary"), w.Header().Get("Cache-Control")
				if vary != "Accept" || !slices.Contains(strings.Split(keep, ", "), "no-store") {
					t.Errorf("Accept %.20q, client %s: %d with Vary %q, Cache-Control %q; want Accept, no-store", accept, client, w.Code, vary, keep)
				}
			}
		}
	}
	wantRefusal(t, "unknown types", k.ask(t, "orders", live, "text/html"), http.StatusNotAcceptable, "invalid_request")
	wantRefusal(t, "no end", k.ask(t, "orders", live, strings.Repeat("a/b,", 300)), http.StatusBadRequest, "invalid_request")
}

// What must hold for every Accept: the answer is one of those that are offered, and was asked for; case, and the order of
// the elements, do not matter; neither does an element more that nobody offers.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{
		"", "*/*", "application/jwt", "application/jwt;q=0.5, application/json;q=0.4", "application/*;q=0, */*;q=0.001",
		`application/jwt;a="x,\"y";q=1`, "application/token-introspection+jwt;q=1.000;ext", ",,;;==", `a/b;c="`, "text/html,application/xhtml+xml,*/*;q=0.8",
	} {
		f.Add(seed)
	}
	decide := func(text string) representation {
		got, no := negotiate(http.Header{"Accept": {text}})
		if (got == "") != (no != nil) {
			panic("an answer and a refusal, or neither")
		}
		return got
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxAccept/2 {
			return
		}
		got := decide(text)
		if got == asSigned || got == asBare {
			lower := strings.ToLower(text)
			if !strings.Contains(lower, string(got)) && !strings.Contains(lower, "*/*") && !strings.Contains(lower, "application/*") {
				t.Errorf("Accept %q: got %s, which was not asked for", text, got)
			}
		}
		if strings.ContainsAny(text, `"`) {
			return // what is inside of quotes is not cut by commas
		}
		if again := decide(upper(text)); again != got {
			t.Errorf("Accept %q: got %q, and %q in capitals", text, got, again)
		}
		elements := strings.Split(text, ",")
		slices.Reverse(elements)
		if again := decide(strings.Join(elements, ",")); again != got {
			t.Errorf("Accept %q: got %q, and %q turned round", text, got, again)
		}
		if strings.Trim(text, " \t,") == "" {
			return // nothing was said, and then something is
		}
		if again := decide(text + ", image/png"); again != got {
			t.Errorf("Accept %q: got %q, and %q with a type that is not offered", text, got, again)
		}
	})
}

// upper raises ASCII letters alone: media types have no others.
func upper(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}
