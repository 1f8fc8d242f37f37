package configs

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Plain HTTP stays on this machine unless the operator says that the network beyond encrypts by itself.
const plaintextMend = "or set insecure_plaintext: true if the network there encrypts by itself"

func (b *builder) checkListen() {
	l := b.file.Listen
	if b.role.gateway() {
		b.need("it is where callers with references connect, such as \":8080\"", "listen", "gateway")
	}
	if b.role.issuer() {
		b.need("it is where clients fetch references, such as \":8081\"", "listen", "issuer")
	}
	taken := map[string]string{}
	for _, one := range []struct{ name, address string }{{"gateway", l.Gateway}, {"issuer", l.Issuer}, {"internal", l.Internal}, {"metrics", l.Metrics}, {"admin", l.Admin}} {
		if !b.set("listen", one.name) {
			continue
		}
		b.checkAddress(one.name, one.address)
		if other, again := taken[one.address]; again && !strings.HasSuffix(one.address, ":0") {
			b.faultAt([]any{"listen", one.name}, "is the address of listen.%s; give each listener its own port", other)
		}
		taken[one.address] = one.name
	}
	b.checkTLS()
	for i, text := range l.TrustedProxies {
		at, ok := b.placed("listen", "trusted_proxies", i)
		prefix, err := parsePrefix(text)
		switch {
		case !ok:
		case err != nil:
			b.doc.fault(at.node, "%s: %q is neither an address nor a network; write 10.1.2.3 or 10.0.0.0/8", at.label, at.shown)
		case prefix.Bits() == 0:
			b.doc.fault(at.node, "%s: %q believes everybody, so that callers choose the address that limits and logs see; name your balancers", at.label, at.shown)
		}
	}
}

func (b *builder) checkAddress(name, address string) {
	path := []any{"listen", name}
	if name == "admin" && isSocket(address) {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if _, numeric := strconv.ParseUint(port, 10, 16); err != nil || numeric != nil {
		if name == "admin" {
			b.faultAt(path, "%q is neither host:port nor the path of a socket; write 127.0.0.1:8083, or %s for a socket", b.shown(path...), socketLike(b.shown(path...)))
			return
		}
		b.faultAt(path, "%q is not host:port; write 127.0.0.1:8080, or :8080 for every interface", b.shown(path...))
		return
	}
	// No credential ever passes the metrics listener.
	if name != "metrics" && !loopback(host) && b.doc.find("tls") == nil && !b.file.InsecurePlaintext {
		what := "every reference"
		switch name {
		case "admin":
			what = "the admin token"
		case "internal":
			what = "references, JWTs and the secrets of services"
		}
		b.faultAt(path, "plain HTTP beyond loopback shows %s to the network; set tls, listen on 127.0.0.1, %s", what, plaintextMend)
	}
}

func (b *builder) checkTLS() {
	if b.section("tls") == nil {
		return
	}
	why := "a certificate and its key come together"
	b.need(why, "tls", "cert_file")
	b.need(why, "tls", "key_file")
}

func (b *builder) checkIssuer() {
	b.need("it is the `iss` of every token, such as https://auth.example.com", "issuer")
	if !b.set("issuer") {
		return
	}
	path := []any{"issuer"}
	u, err := url.Parse(b.file.Issuer)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil:
		b.faultAt(path, "%q is not an https URL such as https://auth.example.com", b.shown(path...))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(u.Path, "/"):
		b.faultAt(path, "%q must end without slash, query and fragment (RFC 8414 §2); services compare it letter by letter", b.shown(path...))
	case u.Host != strings.ToLower(u.Host) || u.RawPath != "":
		b.faultAt(path, "%q must have a lower-case host and no escapes; services compare it letter by letter", b.shown(path...))
	case u.Scheme == "http" && !loopback(u.Hostname()) && !b.file.InsecurePlaintext:
		b.faultAt(path, "http beyond loopback lets the network replace the keys that services fetch; use https, %s", plaintextMend)
	case u.Scheme == "http" && b.role.issuer() && b.section("tls") != nil:
		b.doc.warn(b.doc.near(path...), "issuer: begins with http, but tls makes the issuer answer https alone, so that nobody finds its keys there; write https")
	}
}

// loopback: host is this machine, by name or address. An empty host is every interface.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// parsePrefix reads an address or a network. IPv4 in IPv6 clothes (::ffff:10.0.0.0/104) is taken out of them.
func parsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if ip := prefix.Addr(); err == nil && ip.Is4In6() && prefix.Bits() >= 96 {
		return netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96), nil
	}
	return prefix, err
}
