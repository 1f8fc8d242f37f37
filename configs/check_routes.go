package configs

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// placed is a value on its way into a message: where it stands, its path in words, and the text that may be shown.
type placed struct {
	node         *yaml.Node
	label, shown string
}

// placed finds the value at path; ok is false where there is none that has been read.
func (b *builder) placed(path ...any) (p placed, ok bool) {
	n := b.doc.near(path...)
	return placed{n, labelOf(path...), b.doc.shown(n)}, b.set(path...)
}

// placedKey is placed for a name that is itself a key.
func (b *builder) placedKey(path ...any) placed {
	n := b.doc.key(path...)
	return placed{n, labelOf(path[:len(path)-1]...), clip(n.Value)}
}

func (b *builder) checkRoutes() {
	if b.role.gateway() {
		b.need("without routes the edge answers 404 to everything", "routes")
	}
	for i, r := range b.file.Routes {
		b.need("it names the route in logs and metrics", "routes", i, "name")
		b.need("it says which requests the route is for, such as \"GET /orders/{rest...}\"", "routes", i, "match")
		b.need("it names the service behind", "routes", i, "upstream")
		if at, ok := b.placed("routes", i, "name"); ok && !isName(r.Name) {
			b.doc.fault(at.node, "%s: %q cannot name a route: use 1 to 128 visible ASCII characters without space, quote and backslash", at.label, at.shown)
		}
		if at, ok := b.placed("routes", i, "upstream"); ok && !b.hasUpstream(r.Upstream) {
			b.doc.fault(at.node, "%s: there is no upstream %q%s", at.label, at.shown, didYouMean(r.Upstream, slices.Collect(maps.Keys(b.file.Upstreams))))
		}
		b.checkChoice(r.Freshness, []string{"leased", "strict"}, "routes", i, "freshness")
		b.checkRouteAudience(i, r)
	}
}

func (b *builder) hasUpstream(name string) bool {
	_, ok := b.file.Upstreams[name]
	return ok
}

// A route says who may pass: its audience, or public: true. Neither is a slip that would open or close it by accident.
func (b *builder) checkRouteAudience(i int, r RouteSection) {
	audience, given := b.placed("routes", i, "audience")
	if r.Public {
		for _, key := range []string{"audience", "scopes", "freshness"} {
			if at, ok := b.placed("routes", i, key); ok {
				b.doc.fault(at.node, "%s: a public route asks for nothing, so %s would protect nothing; remove it, or public: true", at.label, key)
			}
		}
		return
	}
	if n := b.doc.find("routes", i, "scopes"); n != nil && n.ShortTag() == "!!null" {
		b.doc.fault(n, "%s: is empty, so that every grant of the audience would pass; name the scopes that are needed, or write [] if none are", labelOf("routes", i, "scopes"))
	}
	if b.doc.find("routes", i, "public") == nil || b.set("routes", i, "public") {
		b.need("a route names the audience whose JWT goes to the upstream; or write public: true to let everyone through", "routes", i, "audience")
	}
	if !given || !b.audienceNamed(r.Audience, audience) {
		return
	}
	for j, scope := range r.Scopes {
		if at, ok := b.placed("routes", i, "scopes", j); ok {
			b.scopeOf(r.Audience, scope, at)
		}
	}
}

func (b *builder) checkUpstreams() {
	for _, name := range slices.Sorted(maps.Keys(b.file.Upstreams)) {
		u := b.file.Upstreams[name]
		b.checkName("an upstream", "upstreams", name)
		one, several := b.doc.find("upstreams", name, "url"), b.doc.find("upstreams", name, "urls")
		switch {
		case one == nil && several == nil:
			b.need("write its address, such as http://orders.internal:9000, or several under urls", "upstreams", name, "url")
		case one != nil && several != nil:
			b.faultAt([]any{"upstreams", name, "urls"}, "excludes url; keep one of them")
		case one != nil:
			b.checkTarget(u.URL, "upstreams", name, "url")
		case len(several.Content) == 0 && b.set("upstreams", name, "urls"):
			b.faultAt([]any{"upstreams", name, "urls"}, "is empty; write at least one address")
		}
		for i, text := range u.URLs {
			b.checkTarget(text, "upstreams", name, "urls", i)
		}
		if path := []any{"upstreams", name, "health"}; b.set(path...) && (!strings.HasPrefix(u.Health, "/") || strings.ContainsAny(u.Health, "?#% ")) {
			b.faultAt(path, "%q is not a plain path such as /healthz", b.shown(path...))
		}
		b.checkWait(u.Timeout, "upstreams", name, "timeout")
		if ca := b.doc.find("upstreams", name, "ca_file"); ca != nil && !slices.ContainsFunc(u.addresses(), isHTTPS) {
			b.faultAt([]any{"upstreams", name, "ca_file"}, "has no effect without an https address; use https, or remove it")
		}
	}
}

// addresses is url or urls.
func (u UpstreamSection) addresses() []string {
	if u.URL != "" {
		return []string{u.URL}
	}
	return u.URLs
}

func isHTTPS(address string) bool { return strings.HasPrefix(address, "https://") }

// checkTarget accepts scheme and host: a path here would hide which path the service gets.
func (b *builder) checkTarget(text string, path ...any) {
	if !b.set(path...) {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		b.faultAt(path, "%q is not scheme and host alone, such as http://orders.internal:9000", b.shown(path...))
	}
}

// checkWait: a wait of 0 would be none at all, or for ever; neither is meant.
func (b *builder) checkWait(d Duration, path ...any) {
	if b.set(path...) && d <= 0 {
		b.faultAt(path, "must be above 0, such as 5s; leave it out for the default")
	}
}
