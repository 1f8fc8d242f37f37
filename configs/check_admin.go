package configs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// adminScopes are those of the admin API.
var adminScopes = []string{"tokens:read", "tokens:revoke", "clients:read", "clients:write"}

var (
	adminName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	socketName = regexp.MustCompile(`^[A-Za-z_-][A-Za-z0-9._-]*$`)
	// adminSecret is a generated token: nothing shorter is, and nothing else passes a header (RFC 6750 §2.1).
	adminSecret = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{32,256}$`)
)

// checkAdmin: the listener and those who may use it come together. One without the other opens nothing, so it is told
// and not refused.
func (b *builder) checkAdmin() {
	address, tokens := b.doc.find("listen", "admin"), b.file.Admin.Tokens
	switch {
	case address != nil && len(tokens) == 0 && b.role.issuer():
		b.doc.warn(b.doc.key("listen", "admin"), "listen.admin is not opened: admin.tokens names nobody who may use it")
	case address == nil && len(tokens) > 0 && b.role.issuer():
		b.doc.warn(b.doc.key("admin"), "admin.tokens has no effect: listen.admin says nowhere to use them")
	}
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		if !adminName.MatchString(name) {
			b.doc.fault(b.doc.key("admin", "tokens", name), "%q cannot name an operator: use 1 to 64 of A-Z, a-z, 0-9, ., - and _", clip(name))
		}
		if b.section("admin", "tokens", name) == nil {
			b.need("every operator proves who it is", "admin", "tokens", name, "token_file")
			continue
		}
		b.checkSecret("token", "admin", "tokens", name)
		b.checkOneOf("token", "admin", "tokens", name)
		b.checkAdminScopes(tokens[name], "admin", "tokens", name, "scopes")
	}
}

func (b *builder) checkAdminScopes(t AdminTokenSection, path ...any) {
	b.need("write [tokens:read], or [tokens:read, tokens:revoke]", path...)
	if b.set(path...) && len(t.Scopes) == 0 {
		b.faultAt(path, "is empty, so that the token could do nothing; write [tokens:read], or [tokens:read, tokens:revoke]")
	}
	for i, scope := range t.Scopes {
		if at, ok := b.placed(append(path, i)...); ok && !slices.Contains(adminScopes, scope) {
			b.doc.fault(at.node, "%s: %q is not known%s", at.label, at.shown, didYouMean(scope, adminScopes))
		}
	}
}

// isSocket: the address is a path, of a unix socket.
func isSocket(address string) bool { return strings.Contains(address, "/") }

// socketLike is an example of a socket, made of what was written if that can name one.
func socketLike(shown string) string {
	if socketName.MatchString(shown) {
		return "./" + shown
	}
	return "./admin.sock"
}
