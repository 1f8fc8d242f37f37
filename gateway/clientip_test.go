package gateway

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// F2: trusted by peer address, counted from the right, IPv4 in IPv6 included.
func TestF2_CallerAddress(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		trusted, peer string
		forwarded     []string
		addr, chain   string
	}{
		"nobody is trusted":                   {"", "203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9", "203.0.113.9"},
		"the peer is not trusted":             {"10.0.0.0/8", "203.0.113.9:1", []string{"10.0.0.1, 1.1.1.1"}, "203.0.113.9", "203.0.113.9"},
		"one proxy":                           {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1"}, "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		"what the caller made up is left out": {"10.0.0.0/8", "10.0.0.1:1", []string{"6.6.6.6, 10.0.0.9, 1.1.1.1"}, "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		"two proxies, two lines":              {"10.0.0.0/8", "10.0.0.1:1", []string{"6.6.6.6", "1.1.1.1,10.0.0.2"}, "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.1"},
		"all hops trusted":                    {"10.0.0.0/8", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"},
		"a proxy that says nothing":           {"10.0.0.0/8", "10.0.0.1:1", nil, "10.0.0.1", "10.0.0.1"},
		"garbage at the right":                {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, evil"}, "10.0.0.1", "10.0.0.1"},
		"garbage behind a trusted hop":        {"10.0.0.0/8", "10.0.0.1:1", []string{"evil\x00, 10.0.0.2"}, "10.0.0.2", "10.0.0.2, 10.0.0.1"},
		"an empty element":                    {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1,"}, "10.0.0.1", "10.0.0.1"},
		"IPv4 in IPv6 peer":                   {"10.0.0.0/8", "[::ffff:10.0.0.1]:1", []string{"1.1.1.1"}, "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		"IPv4 in IPv6 prefix":                 {"::ffff:10.0.0.0/104", "10.0.0.1:1", []string{"::ffff:1.1.1.1"}, "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		"IPv4 in IPv6 hop":                    {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, ::ffff:10.0.0.2"}, "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.1"},
		"IPv6":                                {"fd00::/8", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1", "2001:db8::1, fd00::1"},
		"ports and brackets":                  {"10.0.0.0/8", "10.0.0.1:1", []string{"[2001:db8::1]:99, 10.0.0.2:80"}, "2001:db8::1", "2001:db8::1, 10.0.0.2, 10.0.0.1"},
		"a zone does not help":                {"fe80::/10", "[fe80::1%eth0]:1", []string{"2001:db8::1"}, "2001:db8::1", "2001:db8::1, fe80::1"},
		"a unix socket":                       {"10.0.0.0/8", "@", []string{"1.1.1.1"}, "invalid IP", "unknown"},
		"everything is trusted":               {"0.0.0.0/0", "10.0.0.1:1", []string{"::1, 1.1.1.1"}, "::1", "::1, 1.1.1.1, 10.0.0.1"},
	} {
		var trusted []netip.Prefix
		if c.trusted != "" {
			trusted = append(trusted, netip.MustParsePrefix(c.trusted))
		}
		got := callerOf(&http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}, trusted)
		if got.addr.String() != c.addr || got.chain != c.chain {
			t.Errorf("%s: %s, chain %q; want %s, chain %q", what, got.addr, got.chain, c.addr, c.chain)
		}
	}
}

func TestF2_ChainIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Join(slices.Repeat([]string{"10.0.0.2"}, 5000), ", ")
	got := callerOf(&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {long}}}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if n := strings.Count(got.chain, ",") + 1; n != maxHops+1 {
		t.Errorf("%d addresses in the chain, want %d", n, maxHops+1)
	}
}

// F2: the scheme, too, is only believed of a trusted peer, and only if it is one.
func TestF2_Proto(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		peer string
		tls  bool
		said []string
		want string
	}{
		{"10.0.0.1:1", false, []string{"https"}, "https"},
		{"10.0.0.1:1", true, []string{"http"}, "http"},
		{"10.0.0.1:1", true, nil, "https"},
		{"10.0.0.1:1", false, []string{"https", "http"}, "http"},
		{"10.0.0.1:1", false, []string{"https, http"}, "http"},
		{"10.0.0.1:1", false, []string{"javascript"}, "http"},
		{"1.1.1.1:1", false, []string{"https"}, "http"},
		{"1.1.1.1:1", true, []string{"http"}, "https"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-Proto": c.said}}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := callerOf(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}).proto; got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
