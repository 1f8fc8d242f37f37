package verifier

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkIssuer refuses what cannot be an issuer (RFC 8414 §2): it is compared as text and also fetched from.
func checkIssuer(issuer string, insecure bool) error {
	u, err := parseEndpoint(issuer, insecure)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		err = errors.New("has a query")
	}
	if err != nil {
		return fmt.Errorf("verifier: issuer %q: %w", issuer, err)
	}
	return nil
}

// parseEndpoint reads a URL that keys or metadata may come from: absolute, https, without user or fragment.
// Plain http is for loopback, where nobody can stand between, or where the operator says so.
func parseEndpoint(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("is not an absolute https URL")
	case u.User != nil || strings.Contains(raw, "#"):
		return nil, errors.New("has a user or a fragment")
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return nil, errors.New("is http beyond loopback: use https, or set InsecurePlaintext")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// sameOrigin compares scheme, host and port (RFC 6454 §5).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
