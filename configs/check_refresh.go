package configs

import (
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
)

// checkRefresh: the grant type says that a client can use refresh tokens, refresh_ttl that it is to get some. One without the
// other would do nothing.
func (b *builder) checkRefresh(id string, c ClientSection) {
	path := []any{"clients", id, "refresh_ttl"}
	b.checkLife(c.RefreshTTL, path...)
	ttl := time.Duration(c.TTL)
	if ttl == 0 {
		ttl = b.ttl()
	}
	has, life := slices.Contains(c.GrantTypes, "refresh_token"), time.Duration(c.RefreshTTL)
	switch {
	case has && !b.set(path...):
		b.faultAt([]any{"clients", id, "grant_types"}, "has refresh_token, and nothing says how long its refresh tokens can be used; add refresh_ttl")
	case !has && b.set(path...):
		b.faultAt(path, "does nothing without refresh_token among grant_types; add that, or remove this")
	case has && life > exchange.MaxRefresh:
		b.faultAt(path, "is longer than %d days; shorten it", exchange.MaxRefresh/(24*time.Hour))
	case has && life > 0 && life <= ttl:
		b.faultAt(path, "is no longer than a reference of this client lives (%v); a refresh token would be of no use", ttl)
	}
}
