package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/gin-gonic/gin"
)

func TestSwapEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := h.full()
	a := h.get("/orders/17?a=b", bearer(g.reference), "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6")
	r := h.one()
	if a.status != 200 || a.body != "hello" || r.line != "/orders/17?a=b" || r.header.Get("Authorization") != "Bearer "+g.jwt["orders-api"] {
		t.Errorf("answer %d %q; upstream got %s with Authorization %q", a.status, a.body, r.line, r.header.Get("Authorization"))
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "edge.example.com", "X-Forwarded-Proto": "http", "X-Real-Ip": "", "X-Request-Id": a.header.Get("X-Request-Id"),
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("upstream got %s %q, want %q", name, got, want)
		}
	}
	if r.host != strings.TrimPrefix(h.service.server.URL, "http://") {
		t.Errorf("upstream got Host %q, want its own", r.host)
	}
	h.get("/v1/invoices", bearer(g.reference))
	if r := h.one(); r.line != "/invoices" || r.header.Get("Authorization") != "Bearer "+g.jwt["billing-api"] {
		t.Errorf("billing got %s with Authorization %q, want its own token", r.line, r.header.Get("Authorization"))
	}
}

// 404 and 405 come before credentials are looked at: they say nothing that depends on them.
func TestNoRouteAndWrongMethodComeFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{"X: y", bearer("bad"), bearer(h.full().reference), "Authorization: Bearer a b c"} {
		h.refused(h.get("/nowhere", header), 404, "no_route")
		a := h.send("DELETE", "/orders", "", header)
		h.refused(a, 405, "method_not_allowed")
		if got, want := a.header.Get("Allow"), "GET, HEAD, OPTIONS, POST"; got != want {
			t.Errorf("%.30q: Allow %q, want %q", header, got, want)
		}
	}
}

func TestPublicRouteCarriesNoCredentials(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{"X: y", bearer("bad"), bearer(h.full().reference), "Authorization: Basic eDp5"} {
		if a := h.get("/docs/x", header); a.status != 200 {
			t.Errorf("%.30q: %d %s, want 200", header, a.status, a.body)
		}
		if got := h.one().header["Authorization"]; got != nil {
			t.Errorf("%.30q: upstream got Authorization %q", header, got)
		}
	}
}

// Handlers of Use run after the credentials are gone, and what they add passes; what the edge manages does not.
func TestUseHandlersNeverSeeAReference(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var seen strings.Builder
	h.edge.Use(func(c *gin.Context) {
		_ = c.Request.Header.Write(&seen)
		fmt.Fprintf(&seen, "%+v %#v %v %s", c, c.Request, c.Request.Context(), c.Request.Context())
		c.Request.Header.Set("X-Tenant", "acme")
		c.Request.Header.Set("Authorization", "Bearer forged")
		c.Request.Header.Set("X-Forwarded-For", "6.6.6.6")
		c.Request.Header.Set("X-User", "root")
		c.Header("X-Answer", "added")
	})
	g := h.full()
	a := h.get("/orders/1", bearer(g.reference))
	r := h.one()
	if r.header.Get("X-User") != "" || r.header.Get("X-Tenant") != "acme" || r.header.Get("Authorization") != "Bearer "+g.jwt["orders-api"] || r.header.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("upstream got %v", r.header)
	}
	if a.header.Get("X-Answer") != "added" {
		t.Errorf("client got %v, want X-Answer", a.header)
	}
	absent(t, "handler", seen.String(), g.reference, g.jwt["orders-api"])
	h.get("/docs/1")
	if got := h.one().header["Authorization"]; got != nil {
		t.Errorf("public route: upstream got Authorization %q of a handler", got)
	}
}

func TestUseHandlerThatChangesTheTargetIs500(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"method":   func(r *http.Request) { r.Method = "POST" },
		"host":     func(r *http.Request) { r.Host = "internal" },
		"path":     func(r *http.Request) { r.URL.Path = "/docs/x" },
		"raw path": func(r *http.Request) { r.URL.RawPath, r.URL.Path = "/orders/%2E", "/orders/." },
		"opaque":   func(r *http.Request) { r.URL.Opaque = "//internal/" },
		"query":    func(r *http.Request) { r.URL.RawQuery = "admin=1" },
		"whole":    func(r *http.Request) { r.URL = &url.URL{Path: "/docs/x"} },
	} {
		h := newHouse(t)
		h.edge.Use(func(c *gin.Context) { change(c.Request) })
		a := h.get("/orders/1", bearer(h.full().reference))
		if h.refused(a, 500, "handler_changed_target"); t.Failed() {
			t.Fatalf("a handler that changes the %s", name)
		}
	}
}

func TestUseHandlerMayAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.edge.Use(func(c *gin.Context) { c.AbortWithStatusJSON(418, gin.H{"tea": true}) })
	if a := h.get("/orders/1", bearer(h.full().reference)); a.status != 418 || a.body != `{"tea":true}` {
		t.Errorf("answer %d %q, want the handler's", a.status, a.body)
	}
	h.nothing()
	if e := h.log.entry(t, 0); e["decision"] != "handler" || e["reason"] != "answered" || e["status"] != 418.0 {
		t.Errorf("log says %v, want handler, answered, 418: nobody was denied anything", e)
	}
}

// A handler that loses the request's context, or panics, makes an error, never a forwarded request.
func TestUseHandlerThatBreaksIs500(t *testing.T) {
	t.Parallel()
	for _, broken := range []gin.HandlerFunc{
		func(c *gin.Context) { c.Request = c.Request.WithContext(context.Background()) },
		func(*gin.Context) { panic("handler is broken") },
		func(*gin.Context) { panic(errors.New("handler is broken")) },
	} {
		h := newHouse(t)
		h.edge.Use(broken)
		h.refused(h.get("/orders/1", bearer(h.full().reference)), 500, "internal_error")
		if !strings.Contains(h.log.String(), "handler") {
			t.Errorf("log does not say what broke: %s", h.log)
		}
	}
}

// http.ErrAbortHandler must cut the connection, also when a handler of Use throws it: gin's own recovery swallows it.
func TestAbortIsPassedOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.edge.Use(func(c *gin.Context) {
		c.Writer.WriteHeader(200)
		_, _ = io.WriteString(c.Writer, strings.Repeat("half", 4096))
		panic(http.ErrAbortHandler)
	})
	if a := h.get("/docs/1"); a.err == nil {
		t.Errorf("client read a whole answer of %d bytes, want a broken one", len(a.body))
	}
}

// An empty answer of an upstream stays empty: gin would give its 404 a Content-Type and a text.
func TestEmptyUpstream404StaysEmpty(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, status := range []int{404, 204, 304, 500} {
		h.service.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		a := h.get("/orders/1", bearer(h.full().reference))
		if a.status != status || a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("Gateway-Error") != "" {
			t.Errorf("upstream's empty %d arrived as %d %q with %v", status, a.status, a.body, a.header)
		}
	}
}

// gin redirects neither for a slash too much nor for another case, and takes no prefix from a client.
func TestGinRedirectsAreOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/both/", "/BOTH", "/Docs/1", "/socket/"} {
		h.refused(h.get(path, "X-Forwarded-Prefix: //evil.example"), 404, "no_route")
	}
}

// An upstream cannot speak in the edge's name.
func TestUpstreamCannotForgeTheEdge(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.service.answers(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Gateway-Error", "Coatcheck-Decision", "Coatcheck-Other", "X-Request-Id", "Alt-Svc"} {
			w.Header().Set(name, "forged")
		}
		w.WriteHeader(200)
	})
	a := h.get("/orders/1", bearer(h.full().reference), "X-Request-Id: mine")
	if got := a.header.Values("X-Request-Id"); len(got) != 1 || got[0] != "mine" {
		t.Errorf("X-Request-Id %q, want mine once", got)
	}
	for _, name := range []string{"Gateway-Error", "Coatcheck-Decision", "Coatcheck-Other", "Alt-Svc"} {
		if got := a.header.Get(name); got != "" {
			t.Errorf("client got %s %q", name, got)
		}
	}
}

func TestExposeDecisionForDevelopment(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.ExposeDecisionForDevelopment = true })
	g := h.full()
	last := gateway.HostClock()
	for i, cache := range []string{"miss", "hit"} {
		want := "route=orders-read; audience=orders-api; cache=" + cache + "; jti=" + g.jti
		got, moment, _ := strings.Cut(h.get("/orders/1", bearer(g.reference)).header.Get("Coatcheck-Decision"), "; decided_ns=")
		if got != want {
			t.Errorf("Coatcheck-Decision %q, want %q", got, want)
		}
		ns, err := strconv.ParseInt(moment, 10, 64)
		if err != nil || ns < last || ns > gateway.HostClock() {
			t.Errorf("decided_ns=%s, want a moment after %d and before now", moment, last)
		}
		if e := h.log.entry(t, i); e["decided_ns"] != float64(ns) {
			t.Errorf("log says decided_ns %v, want %d", e["decided_ns"], ns)
		}
		last = ns
	}
	if got, want := h.get("/docs/1").header.Get("Coatcheck-Decision"), "route=docs; audience=none; cache=none; jti=none"; got != want {
		t.Errorf("public: Coatcheck-Decision %q, want %q", got, want)
	}
	if got, want := h.get("/orders/1").header.Get("Coatcheck-Decision"), "route=orders-read; audience=orders-api; cache=none; jti=none"; got != want {
		t.Errorf("refused: Coatcheck-Decision %q, want %q", got, want)
	}
}

func TestConfigFaultsAreAllNamed(t *testing.T) {
	t.Parallel()
	table, err := routes.New([]routes.Route{{Name: "a", Match: "/a", Upstream: "gone", Public: true}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(gateway.Config{Table: table, Realm: `"`, MaxBody: -1, RequestTimeout: -1, PerClient: -1, PerClientBurst: -1, TraceSample: 2})
	if err == nil {
		t.Fatal("New accepts a configuration that is wrong in every field")
	}
	for _, name := range []string{"Swapper", "Realm", "MaxBody", "RequestTimeout", "PerClient", "PerClientBurst", "TraceSample", `route a names upstream "gone"`} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s:\n%v", name, err)
		}
	}
}

// Any error of the swap that is none of the exchange's own is a 503: the edge cannot tell, so it lets nobody in.
func TestUnknownSwapErrorIs503(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *gateway.Config) { c.Swapper = failing{} })
	h.refused(h.get("/orders/1", bearer("x")), 503, "temporarily_unavailable")
}

// A grant that has expired lets nobody in, even if whoever swaps believes that it lives.
func TestExpiredGrantIsRefusedAtTheEdge(t *testing.T) {
	t.Parallel()
	var s remembering
	h := newHouse(t, func(c *gateway.Config) {
		s.Swapper = c.Swapper
		c.Swapper = &s
	})
	g := h.issue(map[string][]string{"orders-api": {"orders:read"}}, time.Second)
	eventually(t, "a grant of a second is refused", func() bool { return h.get("/orders/1", bearer(g.reference)).code() == "invalid_token" })
	if e := h.log.entries(t); e[0]["reason"] != "swapped" || e[len(e)-1]["reason"] != "expired" {
		t.Errorf("log says %v, want first swapped and in the end expired", h.log)
	}
}

// remembering swaps once, and then says the same for ever.
type remembering struct {
	gateway.Swapper
	pass atomic.Pointer[exchange.Pass]
}

func (s *remembering) Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	if p := s.pass.Load(); p != nil {
		return *p, exchange.SourceHit, nil
	}
	p, source, err := s.Swapper.Swap(ctx, raw, f)
	s.pass.Store(&p)
	return p, source, err
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.edge.Run(ctx); err != nil || ctx.Err() == nil {
		t.Errorf("Run returned %v while its context was %v, want nil after its end", err, ctx.Err())
	}
}
