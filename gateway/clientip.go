package gateway

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how much of X-Forwarded-For is read; more proxies than this in a row are not trusted any longer.
const maxHops = 32

// caller is who sent a request, as far as trusted proxies tell. Take it before scrub: that removes what they say.
type caller struct {
	addr  netip.Addr // invalid where the peer has none (a unix socket)
	chain string     // X-Forwarded-For for the upstream: addr, then the trusted proxies between it and us
	proto string     // X-Forwarded-Proto for the upstream: "http" or "https"
}

// callerOf counts from the right, where our own proxies append: the first address that is not a trusted proxy's is the caller's,
// and what stands left of it is his own invention. A list from an untrusted peer is not read at all.
func callerOf(r *http.Request, trusted []netip.Prefix) caller {
	c := caller{addr: peerOf(r), proto: "http"}
	if r.TLS != nil {
		c.proto = "https"
	}
	c.chain = addressText(c.addr)
	if !within(c.addr, trusted) {
		return c
	}
	if said := r.Header["X-Forwarded-Proto"]; len(said) == 1 && (said[0] == "http" || said[0] == "https") {
		c.proto = said[0]
	}
	rest := strings.Join(r.Header["X-Forwarded-For"], ",")
	for range maxHops {
		comma := strings.LastIndexByte(rest, ',')
		hop, ok := parseHop(rest[comma+1:])
		if !ok {
			return c // unreadable: the last proxy that we trust is all that we know
		}
		c.addr, c.chain = hop, addressText(hop)+", "+c.chain
		if comma < 0 || !within(hop, trusted) {
			return c
		}
		rest = rest[:comma]
	}
	return c
}

// AddressOf is where a request comes from, by the rule of the edge: what trusted proxies say of it is believed, and nobody
// else. Not valid: a trusted proxy that does not say, or a peer that has no address; many may share it.
func AddressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	if c := callerOf(r, trusted); !within(c.addr, trusted) {
		return c.addr
	}
	return netip.Addr{}
}

func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// parseHop reads an element of X-Forwarded-For: an address, some proxies add the port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// within compares unmapped addresses: ::ffff:10.0.0.1 is 10.0.0.1, on either side.
func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}
