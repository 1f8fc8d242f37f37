package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Why a request's header is refused; constant text, safe to show a client.
var (
	errHeader     = errors.New("gateway: header is malformed")
	errHeaderSize = errors.New("gateway: header has too many lines")
)

// maxHeaderLines is the most field lines of one request. Browsers send about 20; net/http bounds only their bytes.
const maxHeaderLines = 100

// managed lists the fields that a client cannot set: what describes one connection, and what an upstream may believe because it
// believes the edge. Names are in canonical form; one that ends in '-' stands for all that begin so.
var managed = [...]struct {
	why   string
	names []string
}{
	{"they belong to one connection (RFC 9110 §7.6.1)", []string{
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Proxy-", "Host", "Early-Data",
	}},
	{"`Proxy` becomes HTTP_PROXY in the environment of a CGI program", []string{"Proxy"}},
	{"where a request comes from is what the edge saw", []string{
		"Forwarded", "X-Forwarded-", "X-Forwarded", "X-Forwardedfor", "X-Real-", "X-Client-Ip", "X-Clientip", "X-Cluster-Client-Ip", "X-Custom-Ip-Authorization",
		"X-Originating-", "X-Remote-", "X-Proxyuser-", "X-Envoy-", "X-Azure-", "X-Arr-", "X-Appengine-", "True-Client-Ip", "Client-Ip", "Cf-", "Fastly-", "Wl-Proxy-", "Front-End-Https", "X-Scheme", "X-Url-Scheme",
	}},
	{"what is asked for is what the route table matched", []string{
		"X-Original-", "X-Rewrite-", "X-Http-Method", "X-Http-Method-", "X-Method-", "X-Http-Host-", "X-Host", "X-Http-Path-",
		"X-Script-Name", "X-Accel-", "X-Sendfile-", "X-Http-Destinationurl", "X-Override-Url", "Request-Uri",
	}},
	{"client certificates are proved by TLS", []string{
		"Client-Cert", "Client-Cert-", "Ssl-", "X-Ssl", "X-Ssl-", "X-Tls", "X-Tls-", "X-Client-Cert", "X-Client-Cert-", "X-Client-Verify", "X-Client-Dn",
	}},
	{"who is calling is said by the JWT alone", []string{
		"X-User", "X-User-", "X-Username", "X-Userinfo", "X-Userid", "X-Auth", "X-Auth-", "X-Authenticated-", "X-Authentik-", "X-Principal",
		"X-Authorization", "X-Access-Token", "X-Id-Token", "X-Jwt-", "X-Webauth-", "X-Consumer-", "X-Credential-", "X-Anonymous-",
		"X-Client-Id", "X-Subject", "X-Email", "X-Groups", "X-Role", "X-Roles", "X-Scope", "X-Scopes",
		"X-Claim-", "X-Claims", "X-Goog-", "X-Amzn-Oidc-", "X-Ms-Client-", "X-Ms-Token-", "X-Pomerium-",
		"X-Vouch-", "X-Internal-", "X-Hasura-", "Impersonate-", "Remote-", "Auth-", "Oidc-", "Tailscale-",
	}},
	{"traces begin at the edge, or outsiders would choose what is sampled", []string{
		"Traceparent", "Tracestate", "Baggage", "B3", "X-B3-", "X-Cloud-Trace-Context", "X-Amzn-Trace-Id", "X-Datadog-", "Uber-Trace-Id", "Uberctx-", "Sentry-Trace",
	}},
	{"they are the edge's own", []string{"Coatcheck-", "X-Coatcheck-", "Gateway-Error"}},
}

// single lists fields of which a second line would let two servers read two different requests.
var single = [...]string{
	"Content-Type", "Expect", "Max-Forwards", "Origin", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version",
}

// managedNames is the list above, for looking up; never written after.
var managedNames = func() map[string]bool {
	names := map[string]bool{}
	for _, m := range managed {
		for _, name := range m.names {
			names[name] = true
		}
	}
	return names
}()

// scrub removes from a client's header what must not pass; after an error nothing may pass. Of Connection and Upgrade a WebSocket
// handshake is left, for the route to judge. Authorization is the edge's to read and to delete: naming it in Connection does not hide it.
func scrub(h http.Header) error {
	if err := checkLines(h); err != nil {
		return err
	}
	websocket, trailers := asksWebSocket(h), hasToken(h["Te"], "trailers")
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); name != "Authorization" {
				delete(h, name)
			}
		}
	}
	for name := range h {
		if isManaged(name) {
			delete(h, name)
		}
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if websocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	return nil
}

func checkLines(h http.Header) error {
	lines := 0
	for _, values := range h {
		lines += len(values)
	}
	if lines > maxHeaderLines {
		return errHeaderSize
	}
	for _, name := range single {
		if len(h[name]) > 1 {
			return fmt.Errorf("%w: more than one %s", errHeader, name)
		}
	}
	return nil
}

// isManaged also drops every name with a character other than letters, digits and '-': CGI, WSGI and their kin read X_User
// and X.User as X-User.
func isManaged(name string) bool {
	name = http.CanonicalHeaderKey(name)
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && !managedNames[name[:i+1]]:
		default:
			return true
		}
	}
	return managedNames[name]
}

// scrubTrailers keeps trailers of the request's body from being announced; call it before the body is read. None arrives: the proxy
// copies the request before they do, and net/http never merges them into the header (RFC 9112 §7.1.2).
func scrubTrailers(r *http.Request) { r.Trailer = nil }

// asksWebSocket: exactly one protocol, for a list such as "h2c, websocket" leaves the choice of a tunnel to the upstream.
func asksWebSocket(h http.Header) bool {
	return len(h["Upgrade"]) == 1 && strings.EqualFold(h["Upgrade"][0], "websocket") && hasToken(h["Connection"], "upgrade")
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// spendForward counts Max-Forwards of an OPTIONS request down (RFC 9110 §7.6.2). After last the request goes no further: the edge
// answers it.
func spendForward(method string, h http.Header) (last bool, err error) {
	line := h.Get("Max-Forwards")
	if method != http.MethodOptions || line == "" {
		return false, nil
	}
	n, err := strconv.ParseUint(line, 10, 31)
	if err != nil {
		return false, fmt.Errorf("%w: Max-Forwards is not a number", errHeader)
	}
	if n == 0 {
		return true, nil
	}
	h["Max-Forwards"] = []string{strconv.FormatUint(n-1, 10)}
	return false, nil
}
