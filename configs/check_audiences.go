package configs

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/exchange"
)

func (b *builder) checkAudiences() {
	owner := map[string]string{} // of each scope
	resource := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(b.file.Audiences)) {
		a := b.file.Audiences[name]
		b.checkName("an audience", "audiences", name)
		if name == exchange.ManifestAudience {
			b.doc.fault(b.doc.key("audiences", name), "audience %q is the edge itself; choose another name", name)
		}
		for _, scope := range slices.Sorted(maps.Keys(a.Scopes)) {
			path := []any{"audiences", name, "scopes", scope}
			b.checkName("a scope", path...)
			if other, again := owner[scope]; again {
				b.doc.fault(b.doc.key(path...), "scope %q already belongs to audience %q, and a scope belongs to one audience; rename one of them", clip(scope), clip(other))
			}
			owner[scope] = name
		}
		b.checkVisible(name, a.Claims)
		if a.Encrypt != nil {
			b.checkEncrypt(name, *a.Encrypt)
		}
		path := []any{"audiences", name, "resource"}
		if !b.set(path...) {
			continue
		}
		if u, err := url.Parse(a.Resource); err != nil || !u.IsAbs() || strings.Contains(a.Resource, "#") {
			b.faultAt(path, "%q is not an absolute URI without fragment (RFC 8707 §2), such as https://orders.example.com", b.shown(path...))
		}
		if other, again := resource[a.Resource]; again {
			b.faultAt(path, "already names audience %q; give each its own", clip(other))
		}
		resource[a.Resource] = name
	}
}

// audienceNamed notes a fault if the audience called name at path does not exist.
func (b *builder) audienceNamed(name string, at placed) bool {
	if _, ok := b.file.Audiences[name]; ok {
		return true
	}
	b.doc.fault(at.node, "%s: there is no audience %q%s", at.label, at.shown, didYouMean(name, slices.Collect(maps.Keys(b.file.Audiences))))
	return false
}

// scopeOf notes a fault if scope is not one of the audience's.
func (b *builder) scopeOf(audience, scope string, at placed) {
	scopes := b.file.Audiences[audience].Scopes
	if _, ok := scopes[scope]; ok {
		return
	}
	for _, other := range slices.Sorted(maps.Keys(b.file.Audiences)) {
		if _, ok := b.file.Audiences[other].Scopes[scope]; ok {
			b.doc.fault(at.node, "%s: scope %q belongs to audience %q, not to %q; name it there, or remove it here", at.label, at.shown, clip(other), clip(audience))
			return
		}
	}
	b.doc.fault(at.node, "%s: audience %q has no scope %q%s", at.label, clip(audience), at.shown, didYouMean(scope, slices.Collect(maps.Keys(scopes))))
}

// warnIdle tells what is configured and can never be used: more often a slip than a plan.
func (b *builder) warnIdle() {
	routed, granted, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range b.file.Routes {
		routed[r.Audience], used[r.Upstream] = true, true
	}
	for _, c := range b.file.Clients {
		for audience := range c.Audiences {
			granted[audience] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.file.Audiences)) {
		key := b.doc.key("audiences", name)
		if !routed[name] {
			b.doc.warn(key, "no route leads to audience %q; its tokens are of no use at the edge", clip(name))
		}
		if !granted[name] {
			b.doc.warn(key, "no client may have audience %q; its routes let nobody through", clip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.file.Upstreams)) {
		if !used[name] {
			b.doc.warn(b.doc.key("upstreams", name), "no route leads to upstream %q", clip(name))
		}
	}
}
